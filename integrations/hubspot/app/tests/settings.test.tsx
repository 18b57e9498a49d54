import { Button, LoadingSpinner, StatusTag, Toggle } from '@hubspot/ui-extensions';
import React from 'react';
import { describe, expect, it } from 'vitest';
import type { Settings } from '../src/app/packages/shared/contract';
import { SettingsPage } from '../src/app/settings/SettingsPage';
import { TOGGLES, button, host, settings, until, words } from './host';
import type { Body, Reply } from './host';

const SETTINGS = '/cards/hubspot/settings';
const TOGGLE = '/cards/hubspot/toggle';
const body = (value: Settings): Body => ({ ...value });

const open = async (reply: Reply = body(settings()), language: 'sv' | 'en' = 'en') => {
  const place = host('settings', language);
  place.backend.on(SETTINGS, reply);
  place.renderer.render(<SettingsPage context={place.context} actions={place.renderer.mocks.actions} />);
  expect(place.renderer.find(LoadingSpinner).props.showLabel).toBe(true);
  await until(() => expect(place.renderer.maybeFind(LoadingSpinner)).toBeNull());
  return place;
};

describe('toggles', () => {
  it('are the five of the product, with what they do and how often', async () => {
    const { renderer } = await open(body(settings({}, ['customers-to-companies'])));
    const toggles = renderer.findAll(Toggle).map((node) => [node.props.label, node.props.checked]);
    expect(toggles).toEqual(TOGGLES.map(([id, label]) => [label, id === 'customers-to-companies']));
    expect(words(renderer)).toContain('Runs every 2 hours');
    expect(words(renderer)).toContain('About Sync Products');
  });

  it.each(TOGGLES.map(([id, label]) => [label, id] as const))('%s is switched on', async (label, id) => {
    const { backend, renderer } = await open();
    backend.on(TOGGLE, { ok: true, settings: settings({}, [id]) });
    renderer.find(Toggle, { label }).trigger('onChange', true as never);
    await until(() => expect(backend.calls(TOGGLE)).toHaveLength(1));
    expect(backend.calls(TOGGLE)[0]?.body).toEqual({ integration: 'i1', toggle: id, on: true, locale: 'en' });
    await until(() => expect(renderer.find(Toggle, { label }).props).toMatchObject({ checked: true, readonly: false }));
  });

  it('changed twice in a hurry sends once, and none can be changed meanwhile', async () => {
    const { backend, renderer } = await open();
    backend.on(TOGGLE, { ok: true, settings: settings({}, ['articles-to-products']) }).hold = true;
    const toggle = renderer.find(Toggle, { label: 'Sync Products' });
    toggle.trigger('onChange', true as never);
    toggle.trigger('onChange', true as never);
    await until(() => expect(words(renderer)).toContain('Saving…'));
    expect(renderer.findAll(Toggle).every((node) => node.props.readonly)).toBe(true);
    backend.release();
    await until(() => expect(renderer.maybeFind(LoadingSpinner)).toBeNull());
    expect(backend.calls(TOGGLE)).toHaveLength(1);
  });

  it('that fails goes back, says why, and can be tried again', async () => {
    const { backend, renderer } = await open();
    const good = { ok: true, settings: settings({}, ['deals-to-invoices']) };
    backend.on(TOGGLE, { ok: false, message: 'A plan waits for approval.', remedy: 'Approve it first.' }, good);
    const label = 'HubSpot deal to Fortnox invoice';
    renderer.find(Toggle, { label }).trigger('onChange', true as never);
    await until(() => expect(words(renderer)).toContain('A plan waits for approval.'));
    expect(renderer.find(Toggle, { label }).props.checked).toBe(false);
    button(renderer, 'Try again').trigger('onClick');
    await until(() => expect(renderer.find(Toggle, { label }).props.checked).toBe(true));
    expect(words(renderer)).not.toContain('A plan waits for approval.');
  });

  it('of several companies are kept apart', async () => {
    const one = settings().integrations[0];
    if (!one) throw new Error('no integration');
    const two = { ...one, id: 'i2', name: 'Dotterbolaget AB' };
    const { backend, renderer } = await open(body(settings({ integrations: [one, two] })));
    backend.on(TOGGLE, { ok: true, settings: settings({ integrations: [one, two] }) });
    expect(renderer.findAll(Toggle)).toHaveLength(10);
    renderer.findAll(Toggle, { label: 'Sync Companies' })[1]?.trigger('onChange', true as never);
    await until(() => expect(backend.calls(TOGGLE)[0]?.body.integration).toBe('i2'));
  });

  it('are read only for people who may not change them', async () => {
    const { renderer } = await open(body(settings({ mayEdit: false })));
    expect(words(renderer)).toContain('Only administrators can change these settings.');
    expect(renderer.findAll(Toggle).map((node) => node.props.readonly)).toEqual([true, true, true, true, true]);
  });

  it('are missing with an explanation when nothing is set up', async () => {
    const { renderer } = await open(body(settings({ integrations: [], accounts: [] })));
    expect(words(renderer)).toContain('Nothing is set up yet.');
    expect(words(renderer)).toContain('No system is connected yet.');
  });
});

describe('re-authenticating', () => {
  it('explains itself, opens in a new window, and looks again when it is done', async () => {
    const { backend, renderer } = await open();
    const tags = renderer.findAll(StatusTag).map((node) => [node.text, node.props.variant]);
    expect(tags).toEqual([['Connected', 'success'], ['Needs reconnecting', 'danger']]);
    expect(renderer.findAll(Button, (node) => node.text === 'Re-authenticate')).toHaveLength(2);
    const overlay = renderer.findAll(Button, (node) => node.text === 'Re-authenticate')[1]?.props.overlay as unknown as {
      findAll: typeof renderer.findAll;
    };
    const [sign, done] = overlay.findAll(Button);
    expect(sign?.props.href).toEqual({ url: 'https://app.example.se/connect/fortnox/again', external: true });
    const before = backend.calls(SETTINGS).length;
    done?.trigger('onClick');
    await until(() => expect(backend.calls(SETTINGS)).toHaveLength(before + 1));
    expect(renderer.mocks.actions.closeOverlay.calls).toEqual([['reconnect-fortnox-991122']]);
  });
});

describe('the page', () => {
  it('that cannot be fetched says so and can be tried again', async () => {
    const { backend, renderer } = await open(new Error('offline'));
    expect(words(renderer)).toContain('The service cannot be reached.');
    backend.on(SETTINGS, body(settings()));
    button(renderer, 'Try again').trigger('onClick');
    await until(() => expect(renderer.findAll(Toggle)).toHaveLength(5));
  });

  it('speaks Swedish to Swedish users', async () => {
    const { backend, renderer } = await open(body(settings()), 'sv');
    for (const text of ['Anslut igen', 'Körs every 30 minutes']) expect(words(renderer)).toContain(text);
    expect(backend.sent[0]?.body).toEqual({ locale: 'sv' });
  });
});
