/** Calls to our backend through HubSpot's proxy, which signs them, appends portal and user, and repeats a failed one
 * once. Every way it can fail ends in one sentence and one remedy; nothing here throws. */
import { hubspot } from '@hubspot/ui-extensions';
import { isShape } from './contract';
import type { Texts } from './messages';

export interface Failure {
  ok: false;
  message: string;
  remedy?: string;
}

export type Outcome<T> = T | Failure;
export type Variables = Record<string, string | number | bigint | boolean>;
type Shape = Record<string, unknown>;

export interface Connection {
  /** POSTs `body` with the locale and returns the answer that `fits`, or why there is none. */
  post: <T extends { ok: true }>(path: string, body: Shape, fits: (answer: Shape) => boolean) => Promise<Outcome<T>>;
}

const TIMEOUT = 10_000;

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? value : undefined;

const failure = (message: string, remedy?: string): Failure =>
  remedy === undefined ? { ok: false, message } : { ok: false, message, remedy };

/** What a status without an answer of ours means to the person in front of the card. */
const refused = (status: number, category: unknown, texts: Texts): Failure => {
  if (status === 504 || category === 'GATEWAY_TIMEOUT') return failure(texts.timeout, texts.timeoutRemedy);
  if (status === 429) return failure(texts.busy, texts.busyRemedy);
  if (status === 401 || status === 403) return failure(texts.refused, texts.refusedRemedy);
  return failure(texts.unreachable, texts.unreachableRemedy);
};

const read = async <T extends { ok: true }>(
  response: Response,
  fits: (answer: Shape) => boolean,
  texts: Texts,
): Promise<Outcome<T>> => {
  let answer: unknown;
  try {
    answer = await response.json();
  } catch {
    answer = undefined;
  }
  const shape = isShape(answer) ? answer : undefined;
  if (shape?.ok === false) return failure(text(shape.message) ?? texts.unreachable, text(shape.remedy));
  if (!response.ok || shape?.status === 'error') return refused(response.status, shape?.category, texts);
  if (shape?.ok === true && fits(shape)) return shape as unknown as T;
  return failure(texts.strange, texts.strangeRemedy);
};

/** The backend named by the profile the app was uploaded with (`context.variables.BASE_URL`). */
export const connection = (variables: Variables | undefined, locale: string, texts: Texts): Connection => {
  const base = text(variables?.BASE_URL)?.replace(/\/+$/, '');
  return {
    post: async (path, body, fits) => {
      if (base === undefined) return failure(texts.noProfile, texts.noProfileRemedy);
      try {
        const options = { method: 'POST' as const, timeout: TIMEOUT, body: { ...body, locale } };
        return await read(await hubspot.fetch(`${base}${path}`, options), fits, texts);
      } catch {
        return failure(texts.unreachable, texts.unreachableRemedy);
      }
    },
  };
};
