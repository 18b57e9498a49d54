/** The answers of our backend, and the checks that what arrived is one of them: a proxy or an old deployment may
 * answer something else, and a card must say so instead of failing half drawn. */

/** `off` is neutral. */
export type Tone = 'ok' | 'info' | 'warn' | 'bad' | 'off';
export type CardState = 'unlinked' | 'working' | 'verifying' | 'review' | 'linked' | 'locked';

export interface Row {
  label: string;
  value: string;
  tone?: Tone;
  /** An address in the ledger that the value leads to. */
  href?: string;
}

export interface Action {
  id: string;
  label: string;
  primary: boolean;
  /** Only for actions that lead out of HubSpot. */
  href?: string;
}

/** `POST /cards/hubspot/summary` */
export interface Summary {
  ok: true;
  connected: boolean;
  allowed: boolean;
  allowedReason?: string;
  kind: 'company' | 'deal';
  state: CardState;
  company: { name: string } | null;
  rows: Row[];
  number?: string;
  status?: { label: string; tone: Tone };
  checklist: { passed: number; total: number; at: string | null } | null;
  message?: string;
  remedy?: string;
  actions: Action[];
  updatedAt: string;
}

/** `POST /cards/hubspot/open` */
export interface OpenAnswer {
  ok: true;
  url: string;
  title: string;
  width: number;
  height: number;
}

export interface Account {
  system: string;
  label: string;
  account: string;
  status: string;
  statusLabel: string;
  reconnectUrl: string;
}

export interface ToggleRow {
  id: string;
  label: string;
  help?: string;
  on: boolean;
  /** How often, as the end of a sentence: “every 2 hours”. */
  every?: string;
}

export interface Integration {
  id: string | number;
  name: string;
  toggles: ToggleRow[];
}

/** `POST /cards/hubspot/settings` */
export interface Settings {
  ok: true;
  accounts: Account[];
  integrations: Integration[];
  mayEdit: boolean;
}

/** `POST /cards/hubspot/toggle` */
export interface ToggleAnswer {
  ok: true;
  settings: Settings;
}

type Shape = Record<string, unknown>;

export const isShape = (value: unknown): value is Shape =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const rows = (value: unknown): boolean => Array.isArray(value) && value.every(isShape);

export const isSummary = (value: Shape): boolean =>
  typeof value.state === 'string' && rows(value.rows) && rows(value.actions);

/** The page that opens holds a person's money in view: https only, except on a developer's own machine. */
export const isOpenAnswer = (value: Shape): boolean =>
  typeof value.url === 'string' &&
  /^(https:\/\/|http:\/\/localhost[:/])/.test(value.url) &&
  typeof value.width === 'number' &&
  typeof value.height === 'number';

export const isSettings = (value: Shape): boolean => rows(value.accounts) && rows(value.integrations);

export const isToggleAnswer = (value: Shape): boolean => isShape(value.settings) && isSettings(value.settings);

const VARIANTS = { ok: 'success', info: 'info', warn: 'warning', bad: 'danger', off: 'default' } as const;

/** HubSpot's variant for our tone; what this version does not know is drawn neutrally. */
export const variantOf = (tone: string): (typeof VARIANTS)[Tone] => VARIANTS[tone as Tone] ?? 'default';
