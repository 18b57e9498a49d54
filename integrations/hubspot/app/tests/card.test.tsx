import { Button, DescriptionListItem, Link, LoadingButton, LoadingSpinner, StatusTag } from '@hubspot/ui-extensions';
import React from 'react';
import { describe, expect, it } from 'vitest';
import { CompanyCard } from '../src/app/cards/CompanyCard';
import { DealCard } from '../src/app/cards/DealCard';
import { button, host, linked, page, summary, until, words } from './host';
import type { Backend, Reply } from './host';

const SUMMARY = '/cards/hubspot/summary';
const OPEN = '/cards/hubspot/open';

const show = (backend: Backend, place: ReturnType<typeof host<'crm.record.sidebar'>>, pollDelays?: number[]) => {
  const { renderer, context } = place;
  renderer.render(
    <DealCard context={context} actions={renderer.mocks.actions} {...(pollDelays ? { pollDelays } : {})} />,
  );
  return backend;
};

const card = async (reply: Reply, language: 'sv' | 'en' = 'en') => {
  const place = host('crm.record.sidebar', language);
  show(place.backend.on(SUMMARY, reply).on(OPEN, page), place, []);
  await until(() => expect(place.renderer.maybeFind(LoadingSpinner, { label: loadingOf(language) })).toBeNull());
  return place;
};
const loadingOf = (language: 'sv' | 'en') =>
  language === 'sv' ? 'Hämtar från bokföringen…' : 'Fetching from the ledger…';

describe('what is sent', () => {
  it('names the record and the language, and nothing that the backend must not believe', async () => {
    const { backend } = await card(summary(), 'sv');
    expect(backend.sent).toEqual([
      { path: SUMMARY, method: 'POST', body: { objectId: 123, objectTypeId: '0-1', locale: 'sv' } },
    ]);
  });

  it('is the same for a company', async () => {
    const place = host('crm.record.sidebar');
    Object.assign(place.context.crm, { objectId: 210458813, objectTypeId: '0-2' });
    place.backend.on(SUMMARY, summary({ kind: 'company' }));
    place.renderer.render(<CompanyCard context={place.context} actions={place.renderer.mocks.actions} />);
    await until(() => expect(words(place.renderer)).toContain('Not in the ledger yet'));
    expect(place.backend.sent[0]?.body).toEqual({ objectId: 210458813, objectTypeId: '0-2', locale: 'en' });
  });
});

describe('states', () => {
  it('shows that it is loading until the answer is there', async () => {
    const place = host('crm.record.sidebar');
    place.backend.on(SUMMARY, summary()).hold = true;
    show(place.backend, place);
    expect(place.renderer.find(LoadingSpinner).props.label).toBe('Fetching from the ledger…');
    place.backend.release();
    await until(() => expect(place.renderer.maybeFind(LoadingSpinner)).toBeNull());
  });

  it('not connected: says who can connect, and no condition', async () => {
    const { renderer } = await card(summary({ connected: false, allowed: false, actions: [], checklist: null }));
    expect(words(renderer)).toContain('Not connected');
    expect(words(renderer)).toContain('An administrator connects the ledger');
    expect(words(renderer)).not.toMatch(/Switched off|conditions/);
    expect(renderer.findAll(LoadingButton)).toHaveLength(0);
  });

  it('no longer connected: the numbers stay, with the cause and the remedy', async () => {
    const { renderer } = await card(
      linked({ connected: false, allowed: false, message: 'The connection is broken.', remedy: 'Sign in again.' }),
    );
    for (const text of ['1042', 'The connection is broken.', 'Sign in again.']) expect(words(renderer)).toContain(text);
    expect(words(renderer)).not.toContain('An administrator connects');
    expect(renderer.findAll(LoadingButton)).toHaveLength(1);
  });

  it('not linked: the count of the checklist, the ledger company and the button', async () => {
    const { renderer } = await card(summary());
    expect(words(renderer)).toContain('11 of 12 conditions met');
    expect(words(renderer)).toContain('Fortnox AB');
    expect(words(renderer)).toContain('12 500,00 kr');
    expect(renderer.find(LoadingButton).props).toMatchObject({ variant: 'primary', disabled: false });
  });

  it('not linked and never checked: says so instead of a count', async () => {
    const { renderer } = await card(summary({ checklist: null }));
    expect(words(renderer)).toContain('The conditions have not been checked yet.');
  });

  it('linked: number, status, dates, amounts and the way into the ledger', async () => {
    const { renderer } = await card(linked());
    for (const text of ['1042', '2026-12-20', '15 625,00 kr']) expect(words(renderer)).toContain(text);
    const tags = renderer.findAll(StatusTag).map((tag) => [tag.text, tag.props.variant]);
    expect(tags).toEqual([['Overdue', 'danger'], ['No', 'info']]);
    expect(renderer.find(Link).props.href).toEqual({ url: 'https://ledger.example/invoices/1042', external: true });
    expect(words(renderer)).not.toContain('conditions');
  });

  it('working: says that it may be left', async () => {
    const { renderer } = await card(summary({ state: 'working', actions: [] }));
    expect(words(renderer)).toContain('Working…');
    expect(words(renderer)).toContain('You may leave this page.');
  });

  it('being verified: says that nothing is sent again before the ledger was searched', async () => {
    const { renderer } = await card(summary({ state: 'verifying', actions: [] }));
    expect(words(renderer)).toContain('Being verified');
    expect(words(renderer)).toContain('before anything is sent again');
  });

  it.each([
    ['review', 'Needs attention'],
    ['locked', 'Locked'],
  ] as const)('%s: the cause and the remedy', async (state, title) => {
    const { renderer } = await card(summary({ state, message: 'Article ABC-1 is missing.', remedy: 'Create it.' }));
    for (const text of [title, 'Article ABC-1 is missing.', 'Create it.']) expect(words(renderer)).toContain(text);
  });

  it('toggle off: the reason, and a page that tells more but creates nothing', async () => {
    const { backend, renderer } = await card(
      summary({
        allowed: false,
        allowedReason: 'Deals to invoices is off.',
        actions: [{ id: 'open', label: 'Show details', primary: false }],
      }),
    );
    expect(words(renderer)).toContain('Switched off');
    expect(words(renderer)).toContain('Deals to invoices is off.');
    expect(words(renderer)).not.toContain('conditions');
    button(renderer, 'Show details').trigger('onClick');
    await until(() => expect(backend.calls(OPEN)[0]?.body.view).toBe('status'));
  });

  it('says one reason once', async () => {
    const reason = 'This account is not set up.';
    const { renderer } = await card(summary({ allowed: false, allowedReason: reason, message: reason, actions: [] }));
    expect(words(renderer).split(reason)).toHaveLength(2);
  });

  it('takes the backend’s word for where a record stands, and does not repeat it', async () => {
    const { renderer } = await card(summary({ status: { label: 'Something is missing', tone: 'warn' } }));
    const tags = renderer.findAll(StatusTag).map((tag) => [tag.text, tag.props.variant]);
    expect(tags).toEqual([['Something is missing', 'warning']]);
    const review = await card(summary({ state: 'review', status: { label: 'Needs a person', tone: 'bad' } }));
    expect(words(review.renderer).split('Needs a person')).toHaveLength(2);
  });

  it('shows a number once when it is among the rows', async () => {
    const { renderer } = await card(linked({ rows: [{ label: 'Invoice number in Fortnox', value: '1042' }] }));
    expect(words(renderer).split('1042')).toHaveLength(2);
  });

  it('toggle off but linked: the numbers stay and can be opened', async () => {
    const { renderer } = await card(linked({ allowed: false }));
    expect(words(renderer)).toContain('1042');
    expect(renderer.find(LoadingButton).props.disabled).toBe(false);
  });

  it('with several ledger companies the card says which one this record is in', async () => {
    const { renderer } = await card(linked({ company: { name: 'Dotterbolaget AB' } }));
    expect(words(renderer)).toContain('Dotterbolaget AB');
    const none = await card(linked({ company: { name: '' } }));
    expect(none.renderer.findAll(DescriptionListItem, { label: 'Company' })).toHaveLength(0);
  });

  it('draws a tone and an action it does not know neutrally, and an unsafe address not at all', async () => {
    const { renderer } = await card(
      linked({
        status: { label: 'New', tone: 'sparkling' as never },
        actions: [
          { id: 'teleport', label: 'Teleport', primary: true },
          { id: 'ledger', label: 'Bad', primary: false, href: 'javascript:alert(1)' },
          { id: 'ledger2', label: 'Good', primary: false, href: 'https://ledger.example/' },
        ],
      }),
    );
    expect(renderer.findAll(StatusTag)[0]?.props.variant).toBe('default');
    expect(renderer.findAll(Button).map((node) => node.text)).toEqual(['Good', 'Refresh']);
    expect(renderer.findAll(LoadingButton)).toHaveLength(0);
  });

  it('speaks Swedish to Swedish users', async () => {
    const { renderer } = await card(summary(), 'sv');
    expect(words(renderer)).toContain('11 av 12 villkor uppfyllda');
    expect(words(renderer)).toContain('Finns inte i bokföringen än');
    expect(words(renderer)).not.toMatch(/conditions|Refresh|Updated/);
  });
});

describe('looking again while something is under way', () => {
  it('asks until the state is final, without a click', async () => {
    const place = host('crm.record.sidebar');
    place.backend.on(SUMMARY, summary({ state: 'working' }), summary({ state: 'verifying' }), linked());
    show(place.backend, place, [1, 1, 1, 1]);
    await until(() => expect(words(place.renderer)).toContain('1042'));
    expect(place.backend.calls(SUMMARY)).toHaveLength(3);
  });

  it('stops after a while; the refresh button remains', async () => {
    const place = host('crm.record.sidebar');
    place.backend.on(SUMMARY, summary({ state: 'working' }));
    show(place.backend, place, [1, 1]);
    await until(() => expect(place.backend.calls(SUMMARY)).toHaveLength(3));
    place.backend.on(SUMMARY, linked());
    button(place.renderer, 'Refresh').trigger('onClick');
    await until(() => expect(words(place.renderer)).toContain('1042'));
    expect(place.backend.calls(SUMMARY)).toHaveLength(4);
  });
});

describe('the button', () => {
  it('opens the page that the backend names, and afterwards shows what became of it', async () => {
    const { backend, renderer } = await card(summary());
    button(renderer, 'Create invoice').trigger('onClick');
    const { openIframeModal, refreshObjectProperties } = renderer.mocks.actions;
    await until(() => expect(openIframeModal.callCount).toBe(1));
    expect(backend.calls(OPEN)[0]?.body).toEqual({ objectId: 123, objectTypeId: '0-1', view: 'create', locale: 'en' });
    const [payload, onClose] = openIframeModal.calls[0] as [unknown, () => void];
    expect(payload).toEqual({ uri: page.url, title: 'Create invoice', width: 1100, height: 800 });
    backend.on(SUMMARY, linked());
    onClose();
    await until(() => expect(words(renderer)).toContain('1042'));
    expect(refreshObjectProperties.callCount).toBe(1);
  });

  it('of a linked record opens its status', async () => {
    const { backend, renderer } = await card(linked());
    button(renderer, 'Show invoice').trigger('onClick');
    await until(() => expect(renderer.mocks.actions.openIframeModal.callCount).toBe(1));
    expect(backend.calls(OPEN)[0]?.body.view).toBe('status');
  });

  it('pressed twice sends once', async () => {
    const { backend, renderer } = await card(summary());
    backend.hold = true;
    const create = button(renderer, 'Create invoice');
    create.trigger('onClick');
    create.trigger('onClick');
    await until(() => expect(renderer.find(LoadingButton).props).toMatchObject({ loading: true, disabled: true }));
    backend.release();
    await until(() => expect(renderer.mocks.actions.openIframeModal.callCount).toBe(1));
    expect(backend.calls(OPEN)).toHaveLength(1);
  });

  it('that fails shows the reason once; trying again does the same thing again', async () => {
    const { backend, renderer } = await card(summary());
    backend.on(OPEN, { ok: false, message: 'The connection ended.', remedy: 'Re-authenticate Fortnox.' }, page);
    button(renderer, 'Create invoice').trigger('onClick');
    await until(() => expect(words(renderer)).toContain('The connection ended.'));
    expect(words(renderer)).toContain('Re-authenticate Fortnox.');
    expect(words(renderer)).toContain('11 of 12 conditions met');
    button(renderer, 'Try again').trigger('onClick');
    await until(() => expect(renderer.mocks.actions.openIframeModal.callCount).toBe(1));
    expect(words(renderer)).not.toContain('The connection ended.');
    expect(backend.calls(OPEN)).toHaveLength(2);
  });

  it('never opens an address that is not https', async () => {
    const { backend, renderer } = await card(summary());
    backend.on(OPEN, { ...page, url: 'http://app.example.se/cards/page' });
    button(renderer, 'Create invoice').trigger('onClick');
    await until(() => expect(words(renderer)).toContain('does not understand'));
    expect(renderer.mocks.actions.openIframeModal.callCount).toBe(0);
  });
});

const BAD_GATEWAY = { status: 'error', category: 'BAD_GATEWAY', message: 'Error returned from Request Uri' };
const GATEWAY_TIMEOUT = { status: 'error', category: 'GATEWAY_TIMEOUT', message: 'Gateway took too long to respond' };

describe('failures', () => {
  it.each<[string, Reply, string]>([
    ['our own refusal', { ok: false, message: 'No such record here.' }, 'No such record here.'],
    ['the proxy could not reach us', { status: 200, body: BAD_GATEWAY }, 'The service cannot be reached.'],
    ['the proxy waited too long', { status: 200, body: GATEWAY_TIMEOUT }, 'The answer took too long.'],
    ['504', { status: 504, body: '' }, 'The answer took too long.'],
    ['429', { status: 429, body: {} }, 'Too many calls at once.'],
    ['403', { status: 403, body: {} }, 'This was not allowed.'],
    ['500', { status: 500, body: '<html>' }, 'The service cannot be reached.'],
    ['an exception', new Error('offline'), 'The service cannot be reached.'],
    ['not JSON', { status: 200, body: '<html>' }, 'an answer that this card does not understand'],
    ['another JSON', { ok: true, rows: 'none' }, 'an answer that this card does not understand'],
  ])('%s: one clear sentence and a button', async (_name, reply, sentence) => {
    const { backend, renderer } = await card(reply);
    await until(() => expect(words(renderer)).toContain(sentence));
    backend.on(SUMMARY, linked());
    button(renderer, 'Try again').trigger('onClick');
    await until(() => expect(words(renderer)).toContain('1042'));
    expect(words(renderer)).not.toContain(sentence);
  });

  it('speak Swedish too', async () => {
    const { renderer } = await card({ status: 200, body: GATEWAY_TIMEOUT }, 'sv');
    await until(() => expect(words(renderer)).toContain('Svaret dröjde för länge.'));
    expect(button(renderer, 'Försök igen')).toBeTruthy();
  });

  it('an upload without a profile says what is missing and calls nobody', async () => {
    const place = host('crm.record.sidebar');
    Object.assign(place.context, { variables: {} });
    show(place.backend, place);
    await until(() => expect(words(place.renderer)).toContain('BASE_URL'));
    expect(place.backend.sent).toHaveLength(0);
  });
});
