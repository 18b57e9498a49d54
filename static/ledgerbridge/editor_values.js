/* The page of a value map: a line per click, targets picked from what the target allows, recent records looked at. */
(function () {
  "use strict";
  const entries = document.querySelector("[data-entries]");
  if (!entries?.querySelector("[data-list]")) return;
  const form = entries.closest("form");
  const list = entries.querySelector("[data-list]");
  const seen = document.querySelector(".lb-map-seen");
  const targets = [...document.querySelectorAll("#map-targets option")].map((option) => ({
    insert: option.value, name: option.value, label: option.text, type: "",
  }));
  const texts = { more: seen?.dataset.moreText || "" };
  let dirty = false;

  form.addEventListener("input", () => { dirty = true; });
  form.addEventListener("submit", () => { dirty = false; });
  window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });

  function ready(row) {
    const target = row.querySelector('[name$="-target_value"]');
    if (target && targets.length) new window.LedgerbridgePicker(target, { word: false, texts, options: () => targets });
  }
  for (const row of list.querySelectorAll("[data-row]")) ready(row);

  function add(value) {
    const total = form.elements[`${entries.dataset.entries}-TOTAL_FORMS`];
    const holder = document.createElement("div");
    holder.append(entries.querySelector("[data-empty-row]").content.cloneNode(true));
    for (const node of holder.querySelectorAll("*")) {
      for (const name of ["id", "name", "for"]) {
        const text = node.getAttribute(name);
        if (text?.includes("__prefix__")) node.setAttribute(name, text.replace("__prefix__", total.value));
      }
    }
    const row = holder.querySelector("[data-row]");
    total.value = String(Number(total.value) + 1);
    list.append(row);
    ready(row);
    const source = row.querySelector('[name$="-source_value"]');
    source.value = value;
    entries.querySelector("[data-empty]").hidden = true;
    row.querySelector(value ? '[name$="-target_value"]' : '[name$="-source_value"]').focus();
    dirty = true;
  }

  const button = entries.querySelector("[data-add]");
  button.hidden = false;
  button.addEventListener("click", () => add(""));
  seen?.addEventListener("click", (event) => {
    const link = event.target.closest("[data-add-seen]");
    if (!link) return;
    event.preventDefault();
    const row = link.closest("tr");
    row.hidden = true;
    add(row.dataset.value);
  });

  const look = seen?.querySelector("[data-look]");
  if (!look) return;
  look.hidden = false;
  look.addEventListener("click", async () => {
    const said = seen.querySelector("[data-look-said]");
    said.textContent = seen.dataset.busyText;
    look.disabled = true;
    let answer = {};
    try {
      const reply = await fetch(seen.dataset.seenUrl, {
        method: "POST", headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
      });
      answer = await reply.json();
    } catch {
      answer = { error: "–" };
    }
    look.disabled = false;
    said.textContent = answer.error || `${answer.read} ${seen.dataset.readText}. ${answer.seen.length ? "" : seen.dataset.noneText}`;
    const body = seen.querySelector("[data-seen]");
    const known = new Map([...body.rows].map((row) => [row.dataset.value, row]));
    for (const one of answer.seen || []) {
      const row = known.get(one.value) || document.createElement("tr");
      if (known.has(one.value)) {
        if (!row.cells[1].textContent.trim()) [row.cells[1].textContent, row.cells[2].textContent] = [one.count, one.where];
        continue;
      }
      row.dataset.value = one.value;
      const value = document.createElement("th");
      const link = document.createElement("a");
      value.textContent = one.value;
      link.className = "lb-button";
      link.href = `?source_value=${encodeURIComponent(one.value)}#entries-group`;
      link.dataset.addSeen = "";
      link.textContent = seen.dataset.addText;
      row.append(value);
      for (const text of [one.count, one.where]) row.insertCell().textContent = text;
      row.cells[1].className = "lb-number";
      row.insertCell().append(link);
      body.append(row);
    }
    if (body.rows.length) {
      seen.querySelector("[data-seen-table]").hidden = false;
      seen.querySelector("[data-seen-empty]")?.remove();
    }
  });
})();
