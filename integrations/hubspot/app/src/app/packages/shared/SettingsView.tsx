/** The settings inside HubSpot: which flows run, and signing in again to both systems. */
import {
  Alert,
  Box,
  Button,
  Divider,
  Flex,
  Heading,
  LoadingSpinner,
  Modal,
  ModalBody,
  ModalFooter,
  StatusTag,
  Text,
  Toggle,
} from '@hubspot/ui-extensions';
import type { ExtensionPointApi } from '@hubspot/ui-extensions';
import React, { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { connection } from './connection';
import type { Failure } from './connection';
import { isSettings, isToggleAnswer } from './contract';
import type { Account, Integration, Settings, ToggleAnswer } from './contract';
import { FailureNotice } from './FailureNotice';
import { textsFor } from './messages';
import type { Texts } from './messages';

type Api = ExtensionPointApi<'settings'>;

export interface SettingsViewProps {
  context: Api['context'];
  actions: Pick<Api['actions'], 'closeOverlay'>;
}

interface Wish {
  integration: Integration['id'];
  toggle: string;
  on: boolean;
}

interface Trouble {
  failure: Failure;
  wish: Wish | null;
}

/** Whatever keeps a connection from working is red. */
const STATUSES: Record<string, 'success' | 'default'> = { connected: 'success', new: 'default' };

const AccountRow = ({ account, texts, onDone }: { account: Account; texts: Texts; onDone: (id: string) => void }) => {
  const id = `reconnect-${account.system}-${account.account}`;
  const variant = STATUSES[account.status] ?? 'danger';
  return (
    <Flex direction="row" justify="between" align="center" gap="small" wrap>
      <Box>
        <Text format={{ fontWeight: 'demibold' }}>{account.label}</Text>
        <StatusTag variant={variant}>{account.statusLabel}</StatusTag>
      </Box>
      <Button
        size="sm"
        overlay={
          <Modal id={id} title={texts.reconnectTitle(account.label)} width="md">
            <ModalBody>
              <Text>{texts.reconnectHelp}</Text>
            </ModalBody>
            <ModalFooter>
              <Button variant="primary" href={{ url: account.reconnectUrl, external: true }}>
                {texts.reconnectOpen}
              </Button>
              <Button onClick={() => onDone(id)}>{texts.reconnectDone}</Button>
            </ModalFooter>
          </Modal>
        }
      >
        {texts.reconnect}
      </Button>
    </Flex>
  );
};

interface IntegrationProps {
  integration: Integration;
  texts: Texts;
  pending: Wish | null;
  fixed: boolean;
  onToggle: (wish: Wish) => void;
}

const IntegrationSection = ({ integration, texts, pending, fixed, onToggle }: IntegrationProps) => (
  <Flex direction="column" gap="small">
    <Heading>{integration.name}</Heading>
    {integration.toggles.map((toggle) => {
      const waiting = pending?.integration === integration.id && pending.toggle === toggle.id;
      return (
        <Box key={toggle.id}>
          <Toggle
            name={toggle.id}
            label={toggle.label}
            labelDisplay="inline"
            textChecked={texts.on}
            textUnchecked={texts.off}
            checked={waiting ? pending.on : toggle.on}
            readonly={fixed || pending !== null}
            onChange={(on) => onToggle({ integration: integration.id, toggle: toggle.id, on })}
          />
          {toggle.help ? <Text variant="microcopy">{toggle.help}</Text> : null}
          {toggle.every ? <Text variant="microcopy">{texts.every(toggle.every)}</Text> : null}
          {waiting ? <LoadingSpinner label={texts.saving} showLabel size="sm" /> : null}
        </Box>
      );
    })}
  </Flex>
);

export const SettingsView = ({ context, actions }: SettingsViewProps) => {
  const texts = useMemo(() => textsFor(context.user), [context.user]);
  const backend = useMemo(() => connection(context.variables, texts.locale, texts), [context.variables, texts]);
  const [settings, setSettings] = useState<Settings | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [pending, setPending] = useState<Wish | null>(null);
  const underWay = useRef(false);

  const load = useCallback(async () => {
    const answer = await backend.post<Settings>('/cards/hubspot/settings', {}, isSettings);
    if (answer.ok) setSettings(answer);
    setTrouble(answer.ok ? null : { failure: answer, wish: null });
  }, [backend]);

  useEffect(() => {
    void load();
  }, [load]);

  const send = async (wish: Wish) => {
    if (underWay.current) return; // a double click sends once
    underWay.current = true;
    setPending(wish);
    setTrouble(null);
    const answer = await backend.post<ToggleAnswer>('/cards/hubspot/toggle', { ...wish }, isToggleAnswer);
    underWay.current = false;
    setPending(null); // a toggle whose change failed goes back to what the backend last said
    if (answer.ok) setSettings(answer.settings);
    else setTrouble({ failure: answer, wish });
  };

  const retry = () => {
    setTrouble(null);
    void (trouble?.wish ? send(trouble.wish) : load());
  };

  const done = (id: string) => {
    actions.closeOverlay(id);
    void load();
  };

  const notice = trouble ? <FailureNotice failure={trouble.failure} texts={texts} onRetry={retry} /> : null;
  if (!settings) return notice ?? <LoadingSpinner label={texts.loading} showLabel />;
  return (
    <Flex direction="column" gap="medium">
      {notice}
      {settings.mayEdit ? null : <Alert title={texts.readOnly} variant="info" />}
      <Heading>{texts.settingsTitle}</Heading>
      {settings.integrations.length === 0 ? (
        <Alert title={texts.noIntegrations} variant="info">
          {texts.noIntegrationsHelp}
        </Alert>
      ) : null}
      {settings.integrations.map((integration) => (
        <IntegrationSection
          key={integration.id}
          integration={integration}
          texts={texts}
          pending={pending}
          fixed={!settings.mayEdit}
          onToggle={(wish) => void send(wish)}
        />
      ))}
      <Divider />
      <Heading>{texts.accountsTitle}</Heading>
      {settings.accounts.length === 0 ? <Text>{texts.noAccounts}</Text> : null}
      {settings.accounts.map((account) => (
        <AccountRow key={`${account.system} ${account.account}`} account={account} texts={texts} onDone={done} />
      ))}
    </Flex>
  );
};
