/* The field picker of the mapping editor: a combobox over the source's or the target's fields.
   In a source it completes the word at the caret; in a target it replaces the whole value. Without it, inputs are plain
   inputs, the target's with a datalist. */
(function () {
  "use strict";
  const SHOWN = 60;
  let count = 0;

  const fold = (text) => text.toLocaleLowerCase();

  function element(tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /* What of the options fits the words that were typed: names that begin with it first. */
  function found(options, query) {
    const words = fold(query).split(/[\s.]+/).filter(Boolean);
    const whole = fold(query);
    const hits = [];
    for (const option of options) {
      const text = fold(`${option.part || ""} ${option.name} ${option.label}`);
      if (!words.every((word) => text.includes(word))) continue;
      const insert = fold(option.insert);
      const rank = insert === whole ? 0 : insert.startsWith(whole) ? 1 : fold(option.name).startsWith(words.at(-1) || "") ? 2 : 3;
      hits.push([rank, option]);
    }
    return hits.sort((a, b) => a[0] - b[0]).map((hit) => hit[1]);
  }

  function line(option, texts) {
    const item = element("li", "lb-pick-option");
    item.setAttribute("role", "option");
    const head = element("span", "lb-pick-head");
    head.append(element("strong", "", option.label || option.name), " ", element("code", "", option.insert));
    const facts = [option.type];
    if (option.length) facts.push(`≤ ${option.length}`);
    for (const flag of ["required", "readonly", "unique"]) if (option[flag]) facts.push(texts[flag]);
    item.append(head, element("span", "lb-pick-facts", facts.filter(Boolean).join(" · ")));
    if (option.options) {
      const names = option.options.slice(0, 6).map(([value, label]) => (label && label !== value ? `${label} (${value})` : value));
      item.append(element("span", "lb-pick-facts", names.join(", ") + (option.options.length > 6 ? " …" : "")));
    }
    if (option.sample) item.append(element("span", "lb-pick-sample", option.sample));
    return item;
  }

  /* `options()` gives the choices, `word` true completes the word at the caret, `picked` is told. */
  class Picker {
    constructor(input, { options, word, texts, picked }) {
      Object.assign(this, { input, options, word, texts, picked, active: -1, hits: [] });
      input.removeAttribute("list");
      this.list = element("ul", "lb-pick");
      this.list.id = `lb-pick-${++count}`;
      this.list.setAttribute("role", "listbox");
      this.list.hidden = true;
      this.list.setAttribute("aria-label", input.labels?.[0]?.textContent || "");
      input.after(this.list);
      for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"],
        ["aria-controls", this.list.id], ["aria-haspopup", "listbox"]]) input.setAttribute(name, value);
      input.addEventListener("input", () => this.open());
      input.addEventListener("click", () => this.open());
      input.addEventListener("keydown", (event) => this.key(event));
      input.addEventListener("blur", () => this.close());
      this.list.addEventListener("mousedown", (event) => {
        event.preventDefault(); // the input keeps the focus and its caret
        const item = event.target.closest("[role=option]");
        if (item) this.pick([...this.list.children].indexOf(item));
      });
    }

    /* The word at the caret: where it begins, where it ends. */
    place() {
      const { value, selectionStart: caret } = this.input;
      if (!this.word) return [0, value.length];
      const before = value.slice(0, caret).match(/[\p{L}\p{N}_.]*$/u)[0].length;
      const after = value.slice(caret).match(/^[\p{L}\p{N}_.]*/u)[0].length;
      return [caret - before, caret + after];
    }

    /* Whether the caret is inside a text in quotes, where nothing is completed. */
    quoted() {
      const before = this.input.value.slice(0, this.input.selectionStart);
      return this.word && ((before.match(/"/g) || []).length % 2 === 1 || (before.match(/'/g) || []).length % 2 === 1);
    }

    open(all = false) {
      const [start, end] = this.place();
      const query = this.word ? this.input.value.slice(start, this.input.selectionStart) : this.input.value.trim();
      const options = this.options();
      this.hits = this.quoted() ? [] : found(options, all ? "" : query);
      if (!this.word && !all && this.hits.length === 1 && this.hits[0].insert === query) this.hits = [];
      if (this.word && !all && query === "" && this.input.value !== "" && start === end) this.hits = [];
      this.active = -1;
      this.list.replaceChildren(...this.hits.slice(0, SHOWN).map((option, number) => {
        const item = line(option, this.texts);
        item.id = `${this.list.id}-${number}`;
        return item;
      }));
      if (this.hits.length > SHOWN) {
        const more = element("li", "lb-pick-more", `${this.hits.length - SHOWN} ${this.texts.more}`);
        more.setAttribute("role", "presentation");
        this.list.append(more);
      }
      const shown = this.hits.length > 0;
      this.list.hidden = !shown;
      this.input.setAttribute("aria-expanded", String(shown));
      this.input.removeAttribute("aria-activedescendant");
    }

    close() {
      this.list.hidden = true;
      this.active = -1;
      this.input.setAttribute("aria-expanded", "false");
      this.input.removeAttribute("aria-activedescendant");
    }

    go(number) {
      const items = [...this.list.querySelectorAll("[role=option]")];
      if (!items.length) return;
      this.active = (number + items.length) % items.length;
      items.forEach((item, at) => item.setAttribute("aria-selected", String(at === this.active)));
      items[this.active].scrollIntoView({ block: "nearest" });
      this.input.setAttribute("aria-activedescendant", items[this.active].id);
    }

    key(event) {
      const down = event.key === "ArrowDown";
      if ((down || event.key === "ArrowUp") && (!this.list.hidden || (down && (event.altKey || !this.input.value.includes("\n"))))) {
        if (this.list.hidden) this.open(event.altKey || !this.input.value);
        if (this.list.hidden) return;
        event.preventDefault();
        this.go(this.active + (down ? 1 : this.active < 0 ? 0 : -1));
      } else if (event.key === "Escape" && !this.list.hidden) {
        event.preventDefault();
        event.stopPropagation();
        this.close();
      } else if (event.key === "Enter" && !this.list.hidden && this.active >= 0) {
        event.preventDefault();
        this.pick(this.active);
      }
    }

    pick(number) {
      const option = this.hits[number];
      if (!option) return;
      const [start, end] = this.place();
      this.input.focus();
      this.input.setRangeText(option.insert, start, end, "end");
      if (option.back) this.input.selectionStart = this.input.selectionEnd = this.input.selectionEnd - option.back;
      this.input.dispatchEvent(new Event("input", { bubbles: true }));
      this.close();
      this.picked?.(option);
    }
  }

  window.LedgerbridgePicker = Picker;
})();
