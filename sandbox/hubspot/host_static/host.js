// The stand-in of our card and settings page: asks through the page's own fetch, draws what comes, opens the app's page
// in a frame from the app's origin. It knows only what the project's real cards know of the app's answers.
'use strict';

const root = document.getElementById('card');
const known = root ? root.dataset : {};
const swedish = known.locale === 'sv';
const say = (en, sv) => (swedish ? sv : en);

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
};

const call = async (path, body) => {
  const unreachable = { ok: false, message: say('The service cannot be reached.', 'Tjänsten kan inte nås.') };
  try {
    const options = { url: known.appUrl + path, method: 'POST', timeout: 10000, body: { ...body, locale: known.locale } };
    const response = await fetch(known.fetch, { method: 'POST', body: JSON.stringify(options) });
    const envelope = await response.json();
    if (envelope.category === 'GATEWAY_TIMEOUT') {
      return { ok: false, message: say('The answer took too long.', 'Svaret dröjde för länge.') };
    }
    return envelope.status === 'success' && typeof envelope.responseBody?.ok === 'boolean' ? envelope.responseBody : unreachable;
  } catch {
    return unreachable;
  }
};

const tag = (label, tone = 'default') => make('span', { class: `tag ${tone}` }, label);
const alertBox = (kind, title, ...sentences) =>
  make('div', { class: `alert ${kind}`, role: kind === 'error' ? 'alert' : 'note' },
    make('strong', {}, title), ...sentences.filter(Boolean).map((text) => make('p', {}, text)));

const draw = (...nodes) => root.replaceChildren(...nodes.flat().filter(Boolean));
const loading = () => draw(make('p', { role: 'status' }, say('Fetching from the ledger…', 'Hämtar från bokföringen…')));

const failed = (answer, again) => [
  alertBox('error', say('That did not work', 'Det gick inte'), answer.message, answer.remedy),
  make('button', { type: 'button', onclick: again }, say('Try again', 'Försök igen')),
];

// --- The modal: a frame from another origin, with nothing of ours around its page but a way out.

const openModal = ({ url, title, width, height }, onClose) => {
  const before = document.activeElement;
  const close = () => {
    shade.remove();
    document.removeEventListener('keydown', onKey);
    if (before instanceof HTMLElement && before.isConnected) before.focus();
    onClose();
  };
  const onKey = (event) => {
    if (event.key === 'Escape') close();
  };
  const button = make('button', { type: 'button', onclick: close }, say('Close', 'Stäng'));
  const frame = make('iframe', { src: url, title });
  const modal = make('div', { class: 'modal', role: 'dialog', 'aria-modal': 'true', 'aria-label': title },
    make('div', {}, make('h2', {}, title), button), frame);
  modal.style.maxWidth = `${width}px`;
  modal.style.maxHeight = `${height}px`;
  const shade = make('div', { class: 'shade' }, modal);
  document.body.append(shade);
  document.addEventListener('keydown', onKey);
  button.focus();
};

// --- The card of a record

const subject = { objectId: Number(known.objectId), objectTypeId: known.objectTypeId };
const waits = [2000, 3000, 5000, 5000, 10000, 10000, 20000, 30000];
let timer;
let looks = 0;
let busy = false;

const refreshProperties = async () => {
  const answer = await fetch(known.properties);
  if (answer.ok) document.getElementById('properties').innerHTML = await answer.text(); // our own page, escaped there
};

const open = async (summary) => {
  if (busy) return;
  busy = true;
  drawCard(summary);
  const answer = await call('/cards/hubspot/open', { ...subject, view: summary.state === 'unlinked' && summary.allowed ? 'create' : 'status' });
  busy = false;
  drawCard(summary, answer.ok ? null : failed(answer, () => open(summary)));
  if (answer.ok) {
    openModal(answer, () => {
      refreshProperties();
      showCard();
    });
  }
};

const standing = (summary) => {
  const { state, status } = summary;
  const sentences = [summary.message, summary.remedy].filter(Boolean);
  const plain = sentences.map((text) => make('p', {}, text));
  const place = (label, tone) => tag(status?.label ?? label, status?.tone ?? tone);
  if (!summary.connected) return [tag(say('Not connected', 'Inte ansluten'), 'bad'), ...plain];
  switch (state) {
    case 'working': return [make('p', { role: 'status' }, status?.label ?? say('Working…', 'Arbetar…')), ...plain];
    case 'verifying': return [place(say('Being verified', 'Kontrolleras'), 'warn'), ...plain];
    case 'review': return [alertBox('warning', status?.label ?? say('Needs attention', 'Behöver ses över'), ...sentences)];
    case 'locked': return [alertBox('info', status?.label ?? say('Locked', 'Låst'), ...sentences)];
    case 'unlinked': return [place(say('Not in the ledger yet', 'Finns inte i bokföringen än'), 'off'), ...plain];
    default: return plain;
  }
};

const numbers = ({ company, number, rows, state, status }) => {
  const row = (label, ...value) => make('div', {}, make('dt', {}, label), make('dd', {}, ...value));
  const numbered = number && !rows.some((each) => each.value === number);
  return make('dl', {},
    company?.name ? row(say('Company', 'Företag'), company.name) : null,
    numbered ? row(say('Number', 'Nummer'), number) : null,
    state === 'linked' && status ? row('Status', tag(status.label, status.tone)) : null,
    ...rows.map((each) => row(each.label, each.tone ? tag(each.value, each.tone) : each.value)));
};

const refusal = ({ allowed, allowedReason, connected, message }) =>
  allowed || !connected || allowedReason === message ? null : alertBox('info', say('Switched off', 'Avstängt'), allowedReason);

const conditions = ({ state, allowed, checklist }) => {
  if (state !== 'unlinked' || !allowed) return null;
  if (!checklist) return make('p', {}, say('The conditions have not been checked yet.', 'Villkoren har inte kontrollerats än.'));
  const { passed, total } = checklist;
  return make('p', {}, say(`${passed} of ${total} conditions met`, `${passed} av ${total} villkor uppfyllda`));
};

const drawCard = (summary, trouble = null) => {
  const again = make('button', { type: 'button', onclick: showCard }, say('Refresh', 'Uppdatera'));
  const buttons = summary.actions.filter((action) => action.id === 'open').map((action) =>
    make('button', { type: 'button', class: action.primary ? 'primary' : '', disabled: busy, onclick: () => open(summary) },
      busy ? say('Opening…', 'Öppnar…') : action.label));
  draw(trouble, standing(summary), numbers(summary),
    refusal(summary), conditions(summary), buttons,
    make('p', { class: 'quiet' }, say('Updated ', 'Uppdaterad '), new Date(summary.updatedAt).toLocaleString(swedish ? 'sv-SE' : 'en-GB', { dateStyle: 'medium', timeStyle: 'short' })), again);
};

const showCard = async () => {
  clearTimeout(timer);
  if (!root.children.length) loading();
  const summary = await call('/cards/hubspot/summary', subject);
  if (!summary.ok) {
    draw(failed(summary, showCard));
    return;
  }
  drawCard(summary);
  const underWay = summary.state === 'working' || summary.state === 'verifying';
  looks = underWay ? looks + 1 : 0;
  if (underWay && looks <= waits.length) timer = setTimeout(showCard, waits[looks - 1]);
};

// --- The settings page

const change = async (settings, wish) => {
  if (busy) return;
  busy = true;
  drawSettings(settings, null, wish);
  const answer = await call('/cards/hubspot/toggle', wish);
  busy = false;
  if (answer.ok) drawSettings(answer.settings);
  else drawSettings(settings, failed(answer, () => change(settings, wish)));
};

const toggleRow = (settings, integration, toggle, wish) => {
  const asked = wish && wish.integration === integration.id && wish.toggle === toggle.id;
  const box = make('input', {
    type: 'checkbox', role: 'switch', disabled: busy || !settings.mayEdit,
    onchange: () => change(settings, { integration: integration.id, toggle: toggle.id, on: box.checked }),
  });
  box.checked = asked ? wish.on : toggle.on;
  return make('label', { class: 'toggle' }, box, make('span', {}, toggle.label),
    toggle.help ? make('small', {}, toggle.help) : null,
    toggle.every ? make('small', {}, say('Runs ', 'Körs '), toggle.every) : null);
};

const drawSettings = (settings, trouble = null, wish = null) => draw(trouble,
  settings.mayEdit ? null : alertBox('info', say('Only administrators can change these settings.', 'Bara administratörer kan ändra inställningarna.')),
  ...settings.integrations.map((integration) => make('section', {}, make('h2', {}, integration.name),
    ...integration.toggles.map((toggle) => toggleRow(settings, integration, toggle, wish)))),
  make('h2', {}, say('Connected systems', 'Anslutna system')),
  ...settings.accounts.map((account) => make('div', { class: 'account' },
    make('span', {}, `${account.label} `, tag(account.statusLabel, account.status === 'connected' ? 'ok' : account.status === 'new' ? 'off' : 'bad')),
    make('a', { class: 'button', href: account.reconnectUrl, target: '_blank', rel: 'noopener' }, say('Re-authenticate', 'Anslut igen')))));

const showSettings = async () => {
  loading();
  const settings = await call('/cards/hubspot/settings', {});
  if (settings.ok) drawSettings(settings);
  else draw(failed(settings, showSettings));
};

if (known.kind === 'card') showCard();
if (known.kind === 'settings') showSettings();
