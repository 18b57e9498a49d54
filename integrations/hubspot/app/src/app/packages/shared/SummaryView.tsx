import {
  Alert,
  Button,
  DescriptionList,
  DescriptionListItem,
  Flex,
  Link,
  LoadingButton,
  LoadingSpinner,
  StatusTag,
  Text,
} from '@hubspot/ui-extensions';
import React from 'react';
import { variantOf } from './contract';
import type { Action, Row, Summary } from './contract';
import type { Texts } from './messages';

interface Props {
  summary: Summary;
  texts: Texts;
  timezone: string;
  opening: boolean;
  onOpen: () => void;
  onRefresh: () => void;
}

const HTTPS = /^https:\/\//;

/** A moment the way people say it, in the portal's time zone. */
const moment = (iso: string, texts: Texts, timeZone: string): string => {
  const when = new Date(iso);
  if (Number.isNaN(when.getTime())) return iso;
  const locale = texts.locale === 'sv' ? 'sv-SE' : 'en-GB';
  try {
    return when.toLocaleString(locale, { dateStyle: 'medium', timeStyle: 'short', timeZone });
  } catch {
    return when.toLocaleString(locale); // a time zone that this browser does not know
  }
};

const Value = ({ row }: { row: Row }) => {
  if (row.tone !== undefined) return <StatusTag variant={variantOf(row.tone)}>{row.value}</StatusTag>;
  if (row.href !== undefined && HTTPS.test(row.href)) {
    return <Link href={{ url: row.href, external: true }}>{row.value}</Link>;
  }
  return <Text>{row.value}</Text>;
};

const Numbers = ({ summary, texts }: Pick<Props, 'summary' | 'texts'>) => {
  const { company, number, rows, state } = summary;
  const status = state === 'linked' ? summary.status : undefined;
  const numbered = number !== undefined && !rows.some((row) => row.value === number);
  if (!company?.name && !numbered && !status && rows.length === 0) return null;
  return (
    <DescriptionList direction="row">
      {company?.name ? (
        <DescriptionListItem label={texts.ledgerCompany}>
          <Text>{company.name}</Text>
        </DescriptionListItem>
      ) : null}
      {numbered ? (
        <DescriptionListItem label={texts.number}>
          <Text>{number}</Text>
        </DescriptionListItem>
      ) : null}
      {status ? (
        <DescriptionListItem label={texts.status}>
          <StatusTag variant={variantOf(status.tone)}>{status.label}</StatusTag>
        </DescriptionListItem>
      ) : null}
      {rows.map((row, position) => (
        <DescriptionListItem key={`${position} ${row.label}`} label={row.label}>
          <Value row={row} />
        </DescriptionListItem>
      ))}
    </DescriptionList>
  );
};

const Sentences = ({ summary, help }: { summary: Summary; help?: string }) => (
  <>
    {summary.message === undefined ? null : <Text>{summary.message}</Text>}
    {summary.remedy === undefined ? null : <Text>{summary.remedy}</Text>}
    {summary.message === undefined && help !== undefined ? <Text>{help}</Text> : null}
  </>
);

/** Where the record stands: a tag in the backend's words or ours, then what is wrong and what to do. */
const Standing = ({ summary, texts }: Pick<Props, 'summary' | 'texts'>) => {
  const { state, status } = summary;
  const tag = (label: string, tone: string) => (
    <StatusTag variant={variantOf(status?.tone ?? tone)}>{status?.label ?? label}</StatusTag>
  );
  if (!summary.connected) {
    return (
      <>
        <StatusTag variant="danger">{texts.notConnected}</StatusTag>
        <Sentences summary={summary} help={texts.notConnectedHelp} />
      </>
    );
  }
  switch (state) {
    case 'working':
      return (
        <>
          <LoadingSpinner label={status?.label ?? texts.working} showLabel />
          <Sentences summary={summary} help={texts.workingHelp} />
        </>
      );
    case 'verifying':
      return (
        <>
          {tag(texts.verifying, 'warn')}
          <Sentences summary={summary} help={texts.verifyingHelp} />
        </>
      );
    case 'review':
    case 'locked':
      return (
        <Alert title={status?.label ?? texts[state]} variant={state === 'review' ? 'warning' : 'info'}>
          <Sentences summary={summary} />
        </Alert>
      );
    case 'unlinked':
      return (
        <>
          {tag(texts.notLinked, 'off')}
          <Sentences summary={summary} />
        </>
      );
    default:
      return <Sentences summary={summary} />;
  }
};

/** Why nothing may be made here now; once, where another sentence does not say it already. */
const Refusal = ({ summary, texts }: Pick<Props, 'summary' | 'texts'>) => {
  const { allowed, allowedReason, connected, message } = summary;
  if (allowed || !connected || (allowedReason !== undefined && allowedReason === message)) return null;
  return (
    <Alert title={texts.switchedOff} variant="info">
      {allowedReason ?? texts.switchedOffHelp}
    </Alert>
  );
};

const Checklist = ({ summary, texts }: Pick<Props, 'summary' | 'texts'>) => {
  const { state, allowed, checklist } = summary;
  if (state !== 'unlinked' || !allowed) return null;
  return <Text>{checklist ? texts.conditions(checklist.passed, checklist.total) : texts.notChecked}</Text>;
};

/** Only what this version of the card knows how to do: the backend may be newer. Opening our page is never refused
 * here; the page says why nothing can be done, and what would change that. */
const Buttons = ({ summary, texts, opening, onOpen }: Omit<Props, 'timezone' | 'onRefresh'>) => {
  const button = (action: Action) => {
    if (action.href !== undefined) {
      if (!HTTPS.test(action.href)) return null;
      return (
        <Button key={action.id} variant="secondary" href={{ url: action.href, external: true }}>
          {action.label}
        </Button>
      );
    }
    if (action.id !== 'open') return null;
    return (
      <LoadingButton
        key={action.id}
        variant={action.primary ? 'primary' : 'secondary'}
        loading={opening}
        disabled={opening}
        onClick={onOpen}
      >
        {opening ? texts.opening : action.label}
      </LoadingButton>
    );
  };
  return (
    <Flex direction="column" gap="extra-small">
      {summary.actions.map(button)}
    </Flex>
  );
};

/** One record as the backend describes it. */
export const SummaryView = (props: Props) => {
  const { summary, texts, timezone, onRefresh } = props;
  return (
    <>
      <Standing summary={summary} texts={texts} />
      <Numbers summary={summary} texts={texts} />
      <Refusal summary={summary} texts={texts} />
      <Checklist summary={summary} texts={texts} />
      <Buttons {...props} />
      <Flex direction="row" justify="between" align="center" wrap>
        <Text variant="microcopy">{texts.updated(moment(summary.updatedAt, texts, timezone))}</Text>
        <Button size="xs" variant="transparent" onClick={onRefresh}>
          {texts.refresh}
        </Button>
      </Flex>
    </>
  );
};
