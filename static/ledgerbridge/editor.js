/* The mapping editor: checks and live values as one types, order by mouse and keyboard, adding rows, a warning before
   unsaved changes are left. The server decides everything that counts; this only asks it earlier. */
(function () {
  "use strict";
  const desk = document.getElementById("editor");
  const rows = document.querySelector("[data-rows]");
  if (!desk || !rows) return;
  const form = desk.closest("form");
  const prefix = rows.dataset.rows;
  const text = (name) => desk.dataset[`${name}Text`] || "";
  const texts = { more: text("more"), required: text("required"), readonly: text("readonly"), unique: text("unique") };
  const WAIT = 350;
  let fields = { source: [], target: { header: [], line: [] } };
  let functions = [];
  let dirty = desk.hasAttribute("data-unsaved");
  let timer = 0;
  let asked = 0;

  // --- talking to the server ---------------------------------------------------------------------------------

  async function ask(name, body) {
    const options = body === undefined ? {} : {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
      body: JSON.stringify(body),
    };
    try {
      const answer = await fetch(desk.dataset[name], options);
      return await answer.json();
    } catch {
      return { error: text("offline") };
    }
  }

  const all = (selector, inside = rows) => [...inside.querySelectorAll(selector)];
  const input = (row, name) => row.querySelector(`[name$="-${name}"]`);
  const removed = (row) => Boolean(input(row, "DELETE")?.checked);
  const blank = (row) => !input(row, "expression").value.trim() && !input(row, "target_field").value.trim();
  const scopeOf = (row) => row.closest("[data-scope]").dataset.scope;

  // --- unsaved changes ------------------------------------------------------------------------------------------

  function touched() {
    dirty = true;
    desk.querySelector("[data-dirty]").hidden = false;
  }
  if (dirty) touched();
  form.addEventListener("input", (event) => { if (event.target.name) touched(); });
  form.addEventListener("change", (event) => { if (event.target.name) touched(); });
  form.addEventListener("submit", () => { dirty = false; });
  window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });

  // --- checks and live values -----------------------------------------------------------------------------------

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(check, WAIT);
  }

  function rowData(row) {
    const map = input(row, "value_map");
    return {
      key: row.id, expression: input(row, "expression").value, target: input(row, "target_field").value,
      scope: scopeOf(row), value_map: map.value ? map.selectedOptions[0].text : "",
      required: input(row, "required").checked, label: input(row, "label").value,
    };
  }

  async function check() {
    const mine = ++asked;
    const answer = await ask("check", { rows: all("[data-row]").filter((row) => !removed(row) && !blank(row)).map(rowData) });
    if (mine !== asked) return; // a newer question is on its way
    if (answer.error) return void problems([{ level: "warning", message: answer.error, remedy: "", key: "" }]);
    const found = [];
    const answered = new Set();
    for (const one of answer.rows) {
      answered.add(one.key);
      const row = document.getElementById(one.key);
      if (row) show(row, one, answer.sample);
      found.push(...one.findings);
    }
    for (const row of all("[data-row]")) if (!answered.has(row.id)) show(row, { findings: [], value: null }, answer.sample);
    problems([...found, ...answer.general]);
  }

  function make(tag, name, content) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (content !== undefined) made.textContent = content;
    return made;
  }

  function show(row, one, sample) {
    const said = row.querySelector("[data-said]");
    said.replaceChildren(...one.findings.map((finding) => problem(row, finding)));
    const errors = one.findings.filter((finding) => finding.level === "error");
    row.classList.toggle("lb-row--wrong", errors.length > 0);
    for (const [name, where] of [["expression", "expression"], ["target_field", "target"]]) {
      const field = input(row, name);
      const wrong = errors.some((finding) => finding.where === where);
      field.setAttribute("aria-invalid", String(wrong));
      field.setAttribute("aria-describedby", said.id);
    }
    // What the server said when it refused the form is said again by the check, or is mended.
    all(".errorlist", row).forEach((list) => list.remove());
    const value = row.querySelector("[data-value]");
    value.replaceChildren();
    if (!sample) return;
    if (one.failed) {
      value.append(make("span", "lb-status lb-status--failed", one.failed), make("span", "lb-quiet", one.remedy));
    } else if (one.value !== null && one.value !== undefined) {
      value.append(one.value === "" ? make("span", "lb-blank", "∅") : make("span", "lb-row-result", one.value));
    }
  }

  function problem(row, finding) {
    const line = make("p", `lb-status lb-status--${finding.level === "error" ? "failed" : "held"}`);
    line.append(make("span", "", finding.message));
    if (finding.position !== null && finding.where === "expression") {
      const source = input(row, "expression").value;
      const at = Math.min(finding.position, source.length);
      const code = make("code", "lb-row-at");
      code.append(source.slice(Math.max(0, at - 16), at), make("mark", "", source.slice(at, at + finding.length) || "␣"),
        source.slice(at + finding.length, at + finding.length + 12));
      const go = make("button", "lb-row-go", `${text("char")} ${at + 1}`);
      go.type = "button";
      go.addEventListener("click", () => {
        const field = input(row, "expression");
        field.focus();
        field.setSelectionRange(at, at + finding.length);
      });
      line.append(" ", code, " ", go);
    }
    if (finding.remedy) line.append(" ", make("span", "lb-quiet", finding.remedy));
    return line;
  }

  function problems(found) {
    desk.querySelector("[data-problem-count]").textContent = String(found.length);
    desk.querySelector("[data-problem-list]").replaceChildren(...(found.length ? found : [null]).map((one) => {
      if (!one) return make("li", "lb-quiet", text("none"));
      const item = make("li");
      const mark = make("span", `lb-status lb-status--${one.level === "error" ? "failed" : "held"}`);
      if (one.key) {
        const link = make("a", "", one.name);
        link.href = `#${one.key}`;
        mark.append(link);
      }
      item.append(mark, " ", make("span", "", one.message), " ", make("span", "lb-quiet", one.remedy));
      return item;
    }));
  }

  // --- rows ---------------------------------------------------------------------------------------------------------

  /* Positions as the rows stand on the page, header rows first: what is saved. */
  function number() {
    all("[data-row]").forEach((row, at) => { input(row, "position").value = String(at); });
    for (const group of all("[data-scope]")) {
      const shown = all("[data-row]", group);
      group.querySelector("[data-row-count]").textContent = String(shown.length);
      group.querySelector("[data-empty]").hidden = shown.length > 0;
    }
  }

  function moved(row, focus) {
    number();
    touched();
    focus?.focus();
    row.classList.add("lb-row--moved");
    setTimeout(() => row.classList.remove("lb-row--moved"), 600);
  }

  function chips(row) {
    const said = [];
    for (const name of ["when", "precedence", "blank"]) {
      const select = input(row, name);
      const standard = { when: "always", precedence: "source", blank: "keep" }[name];
      if (select.value !== standard) said.push(select.selectedOptions[0]?.text);
    }
    if (input(row, "required").checked) said.push(texts.required);
    const map = input(row, "value_map");
    if (map.value) said.push(map.selectedOptions[0].text);
    row.querySelector("[data-chips]").textContent = said.join(" · ") || text("standard");
  }

  function fit(area) {
    area.rows = Math.min(Math.max(area.value.split("\n").length, Math.ceil(area.value.length / 44)), 8) || 1;
  }

  function ready(row) {
    const source = input(row, "expression");
    const target = input(row, "target_field");
    fit(source);
    chips(row);
    new window.LedgerbridgePicker(source, { word: true, texts, options: () => [...fields.source, ...functions] });
    new window.LedgerbridgePicker(target, { word: false, texts, options: () => fields.target[scopeOf(row)] });
    source.addEventListener("input", () => fit(source));
    source.addEventListener("keydown", (event) => {
      // Enter would send nothing and only make the row grow; a new line is Shift+Enter.
      if (event.key === "Enter" && !event.shiftKey && !event.defaultPrevented) event.preventDefault();
    });
    const [up, down] = [row.querySelector("[data-up]"), row.querySelector("[data-down]")];
    for (const button of [up, down]) button.hidden = false;
    up.addEventListener("click", () => {
      if (row.previousElementSibling) row.previousElementSibling.before(row);
      moved(row, up);
    });
    down.addEventListener("click", () => {
      if (row.nextElementSibling) row.nextElementSibling.after(row);
      moved(row, down);
    });
    row.addEventListener("input", soon);
    row.addEventListener("change", (event) => {
      chips(row);
      if (event.target === input(row, "scope")) {
        const group = rows.querySelector(`[data-scope="${event.target.value}"] [data-list]`);
        if (group && !group.contains(row)) { group.append(row); moved(row, input(row, "expression")); }
      }
      soon();
    });
  }

  function add(group) {
    const total = form.elements[`${prefix}-TOTAL_FORMS`];
    const made = group.querySelector("[data-empty-row]").content.cloneNode(true);
    const holder = document.createElement("div");
    holder.append(made);
    for (const node of holder.querySelectorAll("*")) {
      for (const name of ["id", "name", "for"]) {
        const value = node.getAttribute(name);
        if (value?.includes("__prefix__")) node.setAttribute(name, value.replace("__prefix__", total.value));
      }
    }
    const row = holder.querySelector("[data-row]");
    total.value = String(Number(total.value) + 1);
    group.querySelector("[data-list]").append(row);
    ready(row);
    input(row, "scope").value = group.dataset.scope;
    moved(row, input(row, "expression"));
  }

  for (const group of all("[data-scope]")) {
    const button = group.querySelector("[data-add]");
    button.hidden = false;
    button.addEventListener("click", () => add(group));
    window.Sortable?.create(group.querySelector("[data-list]"), {
      handle: "[data-handle]", draggable: "[data-row]", animation: 0, ghostClass: "lb-row--ghost",
      onEnd: (event) => moved(event.item),
    });
  }
  rows.classList.add("lb-rows--live");
  all("[data-row]").forEach(ready);
  document.addEventListener("click", (event) => {
    for (const open of all(".lb-row-more[open]")) if (!open.contains(event.target)) open.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && event.target.closest?.(".lb-row-more[open]");
    if (open) { open.open = false; open.querySelector("summary").focus(); }
  });

  // --- the sample record, schemas, help -----------------------------------------------------------------------------

  async function load(id) {
    const said = desk.querySelector("[data-sample-said]");
    if (!id.trim()) return;
    said.textContent = text("busy");
    const answer = await ask("sample", { id });
    said.textContent = answer.error || "";
    if (answer.error) return;
    desk.querySelector("[data-sample-name]").textContent = answer.title;
    rows.classList.add("lb-rows--sampled");
    check();
    const fresh = await ask("fields");
    if (!fresh.error) fields = fresh;
  }
  const list = desk.querySelector("[data-recent-list]");
  list?.addEventListener("change", () => load(list.value));
  const byId = desk.querySelector("[data-sample-id]");
  desk.querySelector("[data-load-sample]")?.addEventListener("click", () => load(byId.value));
  byId?.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); load(byId.value); }
  });
  desk.querySelector("[data-ask-recent]")?.addEventListener("click", async (event) => {
    const said = desk.querySelector("[data-sample-said]");
    said.textContent = text("busy");
    const answer = await ask("recent", {});
    said.textContent = answer.error || (answer.recent.length ? "" : text("nothing"));
    for (const ref of answer.recent || []) list.append(new Option(`${ref.name} (${ref.id})`, ref.id));
    if (answer.recent?.length) event.target.hidden = true;
  });
  for (const button of all("[data-refresh]", desk)) {
    button.addEventListener("click", async () => {
      const said = desk.querySelector("[data-schema-said]");
      said.textContent = text("busy");
      const answer = await ask("schema", { side: button.dataset.refresh });
      said.textContent = answer.error || "";
      if (answer.error) return;
      desk.querySelector(`[data-at="${button.dataset.refresh}"]`).textContent = answer.at || text("now");
      fields = answer;
      check();
    });
  }
  const search = desk.querySelector("[data-help-search]");
  search.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  search.addEventListener("input", () => {
    const wanted = search.value.toLocaleLowerCase();
    for (const one of all("[data-help]", desk)) one.hidden = !one.textContent.toLocaleLowerCase().includes(wanted);
  });
  functions = all(".lb-desk-help [data-help]", desk).flatMap((one) => {
    const signature = one.querySelector("dt code")?.textContent || "";
    const name = signature.match(/^([a-z_0-9]+)\(/)?.[1];
    const what = one.querySelector("dd").firstChild.textContent.trim();
    return name ? [{ insert: `${name}()`, back: 1, name, label: signature, type: what }] : [];
  });

  (async () => {
    const answer = await ask("fields");
    if (!answer.error) fields = answer;
    check();
  })();
})();
