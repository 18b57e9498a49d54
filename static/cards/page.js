/* The page in the frame. Its ticket is exchanged once for a bearer, which lives in this closure and nowhere else; the
   server says everything that is shown, in the person's language, and this script lays it out. Text only ever becomes
   text nodes. A part that did not change is left alone, so that focus and reading position stay where they are. */

const card = document.getElementById("card");
const live = document.getElementById("live");
const said = card.dataset;
let bearer = "";
let shown = "";
let phase = "";
let state = null;
let busy = false;
let timer = 0;
let over = false;
// A page inside the record's own is opened whenever somebody looks at the record: it asks nobody until it is told to.
let waiting = Boolean(said.ticket);

/* --- Talking to the server ------------------------------------------------------------------------------------- */

class Gone extends Error {}

async function call(url, body) {
  const options = { headers: { Authorization: `Bearer ${bearer}` }, credentials: "omit", cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(url, options);
  if (answer.status === 401) throw new Gone();
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

async function open() {
  const query = new URLSearchParams(location.search);
  const ticket = query.get("t") || said.ticket;
  delete said.ticket;
  // A page that was posted keeps its entry: another one would turn a reload into a GET.
  if (location.search) history.replaceState(null, "", location.pathname);
  if (!ticket) return closed(said.closed, said.reopen);
  const answer = await exchange(ticket);
  if (!answer) return closed(said.closed, said.reopen);
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) return closed(data.heading || said.closed, data.message || "", data.remedy || said.reopen);
  bearer = data.bearer;
  setTimeout(() => closed(said.over, said.reopen), (data.seconds - 5) * 1000);
  show(data.state, true);
}

/* The answer to the ticket; nothing when the connection stays broken. A ticket whose answer got lost was used: the
   server says so. */
async function exchange(ticket) {
  for (let tries = 0; tries < 3; tries += 1) {
    try {
      return await fetch(said.session, {
        method: "POST",
        credentials: "omit",
        cache: "no-store",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ticket, locale: document.documentElement.lang }),
      });
    } catch {
      trouble();
      await new Promise((done) => setTimeout(done, 1500));
    }
  }
  return null;
}

/* One button, one call: whatever is pressed while it is under way is not sent. The server would do nothing twice
   either. */
async function press(name, body) {
  if (busy || over) return;
  busy = true;
  waiting = false;
  clearTimeout(timer);
  card.setAttribute("aria-busy", "true");
  live.textContent = said.working;
  try {
    show(await call(said[name], { integration: state.integration, ...body }));
  } catch (error) {
    if (error instanceof Gone) return closed(said.over, said.reopen);
    trouble();
    again(2500);
  } finally {
    busy = false;
    if (!over) card.setAttribute("aria-busy", "false");
  }
}

function again(after) {
  clearTimeout(timer);
  if (after && !over) timer = setTimeout(poll, after);
}

async function poll() {
  if (busy || over) return again(500);
  try {
    const query = state && state.integration ? `?integration=${encodeURIComponent(state.integration)}` : "";
    const fresh = await call(said.state + query);
    if (busy) return;
    show(fresh);
  } catch (error) {
    if (error instanceof Gone) return closed(said.over, said.reopen);
    trouble();
    again(4000);
  }
}

function trouble() {
  live.textContent = said.offline;
  if (!document.getElementById("offline")) card.prepend(banner({ message: said.offline }, "warn", "offline"));
}

/* --- Laying out ------------------------------------------------------------------------------------------------ */

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function closed(heading, ...lines) {
  over = true;
  bearer = "";
  clearTimeout(timer);
  card.setAttribute("aria-busy", "false");
  const title = make("h1", { tabindex: -1 }, heading);
  const texts = lines.filter(Boolean).map((line) => make("p", {}, line));
  card.replaceChildren(make("div", { class: "banner warn", id: "closed" }, title, ...texts));
  live.textContent = heading;
  title.focus();
}

function show(next, first = false) {
  if (over) return;
  state = next;
  document.getElementById("offline")?.remove();
  document.documentElement.lang = next.lang;
  card.setAttribute("aria-busy", next.poll ? "true" : "false");
  const { poll: pause, announce, ...visible } = next;
  const text = JSON.stringify(visible);
  if (text !== shown) {
    shown = text;
    lay(next);
  }
  const outcome = next.outcome && next.outcome.message;
  const moved = phase !== (next.phase || "");
  if (outcome) live.textContent = outcome;
  else if (moved && announce) live.textContent = announce;
  else if ([said.working, said.offline].includes(live.textContent)) live.textContent = "";
  const lost = document.activeElement === document.body || document.activeElement === null;
  if (moved && !first && lost && ["working", "verifying", "done", "review"].includes(next.phase)) focus("#headline");
  phase = next.phase || "";
  if (next.look && !busy && !waiting) return void press("look", {});
  again(pause);
}

function focus(selector) {
  const element = card.querySelector(selector);
  if (element) element.focus();
  return element;
}

function lay(data) {
  const held = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.key : "";
  card.replaceChildren(
    ...[
      head(data),
      banner(data.outcome && data.outcome.message ? { message: data.outcome.message } : null, "warn", "outcome"),
      banner(data.off ? { message: data.off } : null, "warn", "off"),
      banner(data.problem, phaseTone(data), "problem"),
      choices(data.integrations),
      progress(data.progress),
      result(data.result),
      // What will be sent comes first once nothing is in its way; until then, what is.
      ...(data.phase === "ready"
        ? [preview(data.preview), checks(data.checklist)]
        : [checks(data.checklist), preview(data.preview)]),
      actions(data.actions),
    ].filter(Boolean),
  );
  // What was held may be gone because it was pressed: the heading says what became of it.
  if (held) focus(`[data-key="${CSS.escape(held)}"]`) || focus("#headline");
}

const phaseTone = (data) => (data.phase === "locked" ? "warn" : "bad");

function head(data) {
  const sub = [data.title, data.company].filter(Boolean).join(" · ");
  return make(
    "header",
    {},
    make(
      "div",
      { class: "top" },
      make("h1", { id: "headline", tabindex: -1 }, data.heading || ""),
      data.status ? make("span", { class: `status ${data.status.tone}` }, data.status.label) : null,
    ),
    sub ? make("p", { class: "sub" }, sub) : null,
    data.intro ? make("p", { class: "intro" }, data.intro) : null,
  );
}

function banner(problem, tone, id) {
  if (!problem || !problem.message) return null;
  return make(
    "section",
    { class: `banner ${tone}`, id, role: tone === "bad" ? "alert" : null },
    make("p", { class: "cause" }, problem.message),
    problem.remedy ? make("p", {}, problem.remedy) : null,
    problem.reference ? make("p", { class: "muted small" }, problem.reference) : null,
  );
}

function choices(rows) {
  if (!rows || !rows.length) return null;
  return make(
    "ul",
    { class: "choices", id: "choices" },
    rows.map((row) =>
      make(
        "li",
        {},
        make(
          "button",
          {
            type: "button",
            "aria-pressed": row.chosen ? "true" : "false",
            "data-key": `integration-${row.id}`,
            onclick: () => choose(row.id),
          },
          make("b", {}, row.name),
          make("span", { class: `status ${row.status.tone}` }, row.status.label),
        ),
      ),
    ),
  );
}

function choose(id) {
  if (busy || over) return;
  state = { ...state, integration: id };
  poll();
}

function panel(id, heading, extra, ...body) {
  return make(
    "section",
    { class: "panel", id, "aria-labelledby": `${id}-heading` },
    make("header", {}, make("h2", { id: `${id}-heading` }, heading), extra),
    ...body,
  );
}

function checks(data) {
  if (!data) return null;
  const items = data.items.map((item) =>
    make(
      "li",
      { class: item.ok ? "met" : "failed", "data-code": item.code },
      make("span", { class: `mark ${item.ok ? "ok" : "bad"}`, "aria-hidden": "true" }, item.ok ? "✔" : "✖"),
      make(
        "div",
        {},
        make(
          "div",
          { class: "check" },
          make(
            "span",
            { class: "label" },
            make("span", { class: "sr" }, `${item.ok ? data.okLabel : data.failedLabel}: `),
            item.label,
          ),
          item.actual ? make("span", { class: "actual" }, item.actual) : null,
        ),
        item.message ? make("p", { class: "why" }, item.message) : null,
        item.remedy ? make("p", { class: "why muted" }, item.remedy) : null,
        item.lines ? make("p", { class: "why muted small" }, item.lines) : null,
        item.repairs.length ? make("div", { class: "repairs" }, item.repairs.map(repairButton)) : null,
      ),
    ),
  );
  const note = make("span", { class: "muted small" }, `${data.summary} · ${data.at}`);
  return panel("checks", data.heading, note, make("ul", { class: "checks" }, items));
}

function repairButton(repair) {
  return make(
    "button",
    {
      type: "button",
      "data-key": `repair-${repair.repair}-${repair.value}`,
      onclick: () => press("repair", { repair: repair.repair, value: repair.value }),
    },
    repair.label,
  );
}

function preview(data) {
  if (!data) return null;
  const names = ["quantity", "price", "discount", "net"];
  const rows = data.lines.map((line) =>
    make(
      "tr",
      {},
      make(
        "td",
        {},
        line.text,
        line.article && line.article !== line.text ? make("span", { class: "muted small" }, ` ${line.article}`) : null,
      ),
      names.map((name) =>
        make("td", { class: line[name] ? "num" : "num empty", "data-label": data.columns[name] }, line[name]),
      ),
    ),
  );
  const table = rows.length
    ? make(
        "table",
        { class: "rows" },
        make(
          "thead",
          {},
          make(
            "tr",
            {},
            make("th", { scope: "col" }, data.columns.text),
            names.map((name) => make("th", { scope: "col", class: "num" }, data.columns[name])),
          ),
        ),
        make("tbody", {}, rows),
      )
    : null;
  const sums = make(
    "div",
    { class: "sums" },
    data.totals.length ? make("div", {}, make("h3", {}, data.sums), pairs(data.totals)) : null,
    data.compare
      ? make("div", { id: "compare" }, make("h3", {}, data.compare.heading), pairs(data.compare.rows))
      : null,
  );
  const facts = data.fields.length ? make("div", { class: "body" }, factList(data.fields)) : null;
  const section = panel("preview", data.heading, null, facts, table, sums);
  if (!data.notes.length) return section;
  const notes = make(
    "section",
    { class: "banner warn", id: "notes" },
    make("p", { class: "cause" }, data.notesLabel),
    data.notes.map((note) => make("p", {}, note)),
  );
  return make("div", {}, notes, section);
}

function pairs(rows) {
  return make(
    "dl",
    { class: "pairs" },
    rows.map((row) =>
      make(
        "div",
        { class: row.strong ? "strong" : null },
        make("dt", {}, row.label),
        make("dd", { class: row.tone ? `toned ${row.tone}` : null }, row.value),
      ),
    ),
  );
}

function factList(rows) {
  return make(
    "dl",
    { class: "facts" },
    rows.map((row) =>
      make("div", {}, make("dt", {}, row.label), make("dd", { class: row.tone ? `toned ${row.tone}` : null }, row.value)),
    ),
  );
}

function progress(data) {
  if (!data) return null;
  const steps = data.steps.map((step) =>
    make("li", { class: step.state, "aria-current": step.state === "current" ? "step" : null }, step.label),
  );
  return panel(
    "progress",
    data.heading,
    null,
    make(
      "div",
      { class: "body" },
      make("ol", { class: "steps" }, steps),
      data.note ? make("p", { class: "muted small", id: "age" }, data.note) : null,
    ),
  );
}

function result(data) {
  if (!data) return null;
  return make(
    "section",
    { class: "panel", id: "result" },
    make(
      "div",
      { class: "body" },
      make("p", { class: "sentence" }, data.sentence),
      data.facts.length ? factList(data.facts) : null,
      make(
        "p",
        { class: "small foot" },
        data.url
          ? make("a", { href: data.url, target: "_blank", rel: "noopener noreferrer" }, `${data.urlLabel} ↗`)
          : null,
        data.synced ? make("span", { class: "muted" }, `${data.url ? " · " : ""}${data.synced}`) : null,
      ),
    ),
  );
}

/* --- Buttons --------------------------------------------------------------------------------------------------- */

function actions(rows) {
  const bar = make("div", { class: "actions", id: "actions" });
  for (const given of rows || []) {
    // What it waits for is the press: it checks first, and a second press creates.
    const asleep = waiting && state.look;
    const first = asleep && given.id === "create";
    if (asleep && given.id === "refresh") continue;
    const row = first ? { ...given, id: "look", disabled: false, why: "" } : given;
    const why = row.why ? make("p", { class: "why", id: `why-${row.id}` }, row.why) : null;
    if (why) bar.append(why);
    bar.append(
      make(
        "button",
        {
          type: "button",
          class: row.primary ? "primary" : null,
          "data-key": `action-${row.id}`,
          // Not `disabled`: the button stays reachable, so that its reason is read.
          "aria-disabled": row.disabled ? "true" : null,
          "aria-describedby": why ? `why-${row.id}` : row.disabled && state.off ? "off" : null,
          onclick: () => (row.disabled ? null : row.confirm ? ask(row) : act(row)),
        },
        row.label,
      ),
    );
  }
  return bar;
}

function act(row) {
  press(row.id, row.id === "create" ? { expected: state.fingerprint } : {});
}

function ask(row) {
  const bar = document.getElementById("actions");
  bar.replaceChildren(
    make("p", { class: "why", id: "question" }, row.confirm),
    make(
      "button",
      { type: "button", class: "primary", "data-key": "yes", "aria-describedby": "question", onclick: () => act(row) },
      said.yes,
    ),
    make("button", { type: "button", "data-key": "no", onclick: () => lay(state) }, said.no),
  );
  focus('[data-key="yes"]');
}

open();
