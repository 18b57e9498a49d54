/** The sidebar card of a company or a deal: state first, then the numbers, then one button. It decides nothing: what
 * may be done and why not comes from the backend, which checks again when the page that opens does it. */
import { Flex, LoadingSpinner } from '@hubspot/ui-extensions';
import type { ExtensionPointApi } from '@hubspot/ui-extensions';
import React, { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { connection } from './connection';
import type { Failure } from './connection';
import { isOpenAnswer, isSummary } from './contract';
import type { OpenAnswer, Summary } from './contract';
import { FailureNotice } from './FailureNotice';
import { textsFor } from './messages';
import { SummaryView } from './SummaryView';

type Api = ExtensionPointApi<'crm.record.sidebar'>;

export interface RecordCardProps {
  context: Api['context'];
  actions: Pick<Api['actions'], 'openIframeModal' | 'refreshObjectProperties'>;
  /** Milliseconds between looks at a record that is being worked on; afterwards the refresh button remains. */
  pollDelays?: readonly number[];
}

const POLL_DELAYS = [2_000, 3_000, 5_000, 5_000, 10_000, 10_000, 20_000, 30_000, 30_000, 60_000, 60_000];
const UNDERWAY = new Set(['working', 'verifying']);

interface Trouble {
  failure: Failure;
  again: 'load' | 'open';
}

export const RecordCard = ({ context, actions, pollDelays = POLL_DELAYS }: RecordCardProps) => {
  const texts = useMemo(() => textsFor(context.user), [context.user]);
  const backend = useMemo(() => connection(context.variables, texts.locale, texts), [context.variables, texts]);
  const { objectId, objectTypeId } = context.crm;
  const [summary, setSummary] = useState<Summary | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [opening, setOpening] = useState(false);
  const [looks, setLooks] = useState(0);
  const newest = useRef(0);
  const underWay = useRef(false);

  const load = useCallback(async () => {
    const mine = ++newest.current;
    const answer = await backend.post<Summary>('/cards/hubspot/summary', { objectId, objectTypeId }, isSummary);
    if (mine !== newest.current) return;
    if (answer.ok) setSummary(answer);
    setTrouble(answer.ok ? null : { failure: answer, again: 'load' });
  }, [backend, objectId, objectTypeId]);

  useEffect(() => {
    void load();
    return () => {
      newest.current += 1; // an answer that arrives after this belongs to nobody
    };
  }, [load]);

  useEffect(() => {
    if (!summary || !UNDERWAY.has(summary.state)) {
      setLooks(0);
      return undefined;
    }
    const delay = pollDelays[looks];
    if (delay === undefined) return undefined;
    const timer = setTimeout(() => {
      setLooks((count) => count + 1);
      void load();
    }, delay);
    return () => clearTimeout(timer);
    // Not on `looks`: every answer is a new object, so each answer, and only that, starts the next wait.
  }, [summary, load, pollDelays]);

  const open = async () => {
    if (underWay.current) return; // a double click sends once; the state below arrives a render too late for that
    underWay.current = true;
    setOpening(true);
    setTrouble(null);
    const view = summary?.state === 'unlinked' && summary.allowed ? 'create' : 'status';
    const answer = await backend.post<OpenAnswer>(
      '/cards/hubspot/open',
      { objectId, objectTypeId, view },
      isOpenAnswer,
    );
    underWay.current = false;
    setOpening(false);
    if (!answer.ok) {
      setTrouble({ failure: answer, again: 'open' });
      return;
    }
    const { url, title, width, height } = answer;
    actions.openIframeModal({ uri: url, title, width, height }, () => {
      actions.refreshObjectProperties();
      void load();
    });
  };

  const retry = () => {
    setTrouble(null);
    void (trouble?.again === 'open' ? open() : load());
  };

  return (
    <Flex direction="column" gap="small">
      {trouble ? <FailureNotice failure={trouble.failure} texts={texts} onRetry={retry} /> : null}
      {!summary && !trouble ? <LoadingSpinner label={texts.loading} showLabel /> : null}
      {summary ? (
        <SummaryView
          summary={summary}
          texts={texts}
          timezone={context.portal.timezone}
          opening={opening}
          onOpen={() => void open()}
          onRefresh={() => void load()}
        />
      ) : null}
    </Flex>
  );
};
