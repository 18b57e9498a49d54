/** A stand-in for HubSpot around a card under test: answers `hubspot.fetch`, keeps what was asked, and finds things
 * the way a person does, by their words. */
import { createRenderer } from '@hubspot/ui-extensions/testing';
import type { Renderer } from '@hubspot/ui-extensions/testing';
import { Alert, Button, Link, LoadingButton, LoadingSpinner, StatusTag, Text, Toggle } from '@hubspot/ui-extensions';
import { afterEach, vi } from 'vitest';
import type { Settings, Summary } from '../src/app/packages/shared/contract';

export const BASE = 'https://app.example.se';
export type Body = Record<string, unknown>;
type Location = 'crm.record.sidebar' | 'settings';

export interface Sent {
  path: string;
  body: Body;
  method: string;
}

/** What one call answers: a body for 200, a status and a body, or an error as thrown by the proxy. */
export type Reply = Body | { status: number; body: unknown } | Error;

const response = (reply: Exclude<Reply, Error>): Response => {
  const known = reply as { status?: unknown; body?: unknown };
  const isStatus = typeof known.status === 'number';
  const status = isStatus ? (known.status as number) : 200;
  const body = isStatus ? known.body : reply;
  return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status });
};

/** Answers calls per path in order; the last reply of a path repeats. A reply may wait for `release`. */
export class Backend {
  readonly sent: Sent[] = [];
  private replies = new Map<string, Reply[]>();
  private gates: (() => void)[] = [];
  hold = false;

  constructor() {
    const worker = { hsFetch: (url: string, options: { method: string; body?: Body }) => this.answer(url, options) };
    vi.stubGlobal('self', worker);
  }

  on(path: string, ...replies: Reply[]): this {
    this.replies.set(path, replies);
    return this;
  }

  release(): void {
    this.hold = false;
    this.gates.splice(0).forEach((open) => open());
  }

  calls(path: string): Sent[] {
    return this.sent.filter((call) => call.path === path);
  }

  private async answer(url: string, options: { method: string; body?: Body }): Promise<Response> {
    if (!url.startsWith(BASE)) throw new Error(`a call to ${url}`);
    const path = url.slice(BASE.length);
    this.sent.push({ path, method: options.method, body: options.body ?? {} });
    if (this.hold) await new Promise<void>((resolve) => this.gates.push(resolve));
    const replies = this.replies.get(path) ?? [];
    const reply = replies.length > 1 ? replies.shift() : replies[0];
    if (reply === undefined) throw new Error(`no answer for ${path}`);
    if (reply instanceof Error) throw reply;
    return response(reply);
  }
}

afterEach(() => vi.unstubAllGlobals());

/** Waits for what is drawn or sent; long enough for a machine with other things to do. */
export const until = (check: () => void) => vi.waitFor(check, { timeout: 8_000, interval: 5 });

export const host = <L extends Location>(location: L, language: 'sv' | 'en' = 'en') => {
  const backend = new Backend();
  const renderer = createRenderer(location);
  const context = renderer.mocks.context;
  Object.assign(context.user, { language, locale: language });
  Object.assign(context, { variables: { BASE_URL: BASE } });
  return { backend, renderer, context };
};

/** Everything that can be read on the card. */
export const words = (renderer: Renderer<Location>): string => {
  const found: string[] = [];
  for (const component of [Text, StatusTag, Button, LoadingButton, Link]) {
    found.push(...renderer.findAll(component as never).map((node: { text: string | null }) => node.text ?? ''));
  }
  found.push(...renderer.findAll(Alert).flatMap((node) => [node.props.title, node.text ?? '']));
  found.push(...renderer.findAll(LoadingSpinner).map((node) => node.props.label));
  found.push(...renderer.findAll(Toggle).map((node) => node.props.label));
  return found.join('\n');
};

/** The button with these words; a `LoadingButton` is one too. */
export const button = (renderer: Renderer<Location>, label: string) => {
  const all = [...renderer.findAll(LoadingButton), ...renderer.findAll(Button)];
  const found = all.find((node) => node.text === label);
  if (!found) throw new Error(`no button “${label}”, there are: ${all.map((node) => node.text).join(', ')}`);
  return found;
};

export const summary = (changes: Partial<Summary> = {}): Body => ({
  ok: true,
  connected: true,
  allowed: true,
  kind: 'deal',
  state: 'unlinked',
  company: { name: 'Fortnox AB' },
  rows: [{ label: 'Deal amount', value: '12 500,00 kr' }],
  checklist: { passed: 11, total: 12, at: '2026-11-20T13:05:00Z' },
  actions: [{ id: 'open', label: 'Create invoice', primary: true }],
  updatedAt: '2026-11-20T13:05:00Z',
  ...changes,
});

export const linked = (changes: Partial<Summary> = {}): Body =>
  summary({
    state: 'linked',
    checklist: null,
    number: '1042',
    status: { label: 'Overdue', tone: 'bad' },
    rows: [
      { label: 'Due date', value: '2026-12-20' },
      { label: 'To pay', value: '15 625,00 kr' },
      { label: 'Booked', value: 'No', tone: 'info' },
      { label: 'Ledger', value: 'Open in the ledger', href: 'https://ledger.example/invoices/1042' },
    ],
    actions: [{ id: 'open', label: 'Show invoice', primary: false }],
    ...changes,
  });

export const page = {
  ok: true,
  url: `${BASE}/cards/page?ticket=abc`,
  title: 'Create invoice',
  width: 1100,
  height: 800,
};

export const TOGGLES = [
  ['customers-to-companies', 'Sync Companies', 'every 2 hours'],
  ['articles-to-products', 'Sync Products', 'every 30 minutes'],
  ['invoices-to-deals', 'Fortnox invoice to Deal pipeline', 'every hour'],
  ['deals-to-invoices', 'HubSpot deal to Fortnox invoice', undefined],
  ['companies-to-customers', 'HubSpot company to Fortnox customer', undefined],
] as const;

export const settings = (changes: Partial<Settings> = {}, on: readonly string[] = []): Settings => ({
  ok: true,
  mayEdit: true,
  accounts: [
    {
      system: 'hubspot',
      label: 'HubSpot',
      account: '145893001',
      status: 'connected',
      statusLabel: 'Connected',
      reconnectUrl: `${BASE}/connect/hubspot/again`,
    },
    {
      system: 'fortnox',
      label: 'Fortnox',
      account: '991122',
      status: 'needs_reconnect',
      statusLabel: 'Needs reconnecting',
      reconnectUrl: `${BASE}/connect/fortnox/again`,
    },
  ],
  integrations: [
    {
      id: 'i1',
      name: 'Fortnox AB',
      toggles: TOGGLES.map(([id, label, every]) => ({
        id,
        label,
        help: `About ${label}`,
        on: on.includes(id),
        ...(every === undefined ? {} : { every }),
      })),
    },
  ],
  ...changes,
});
