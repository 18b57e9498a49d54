/* The record page: the slider says where it stands and shows that moment; a value's "why" opens beside the table.
   Without this script both are ordinary pages. */
(() => {
  "use strict";

  const fetched = async (url) => {
    const answer = await fetch(url, { credentials: "same-origin" });
    if (!answer.ok) throw new Error(String(answer.status));
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };

  const moments = () => JSON.parse(document.getElementById("lb-moments").textContent);

  const say = (slider) => {
    const all = moments();
    const step = Number(slider.value);
    const said = document.getElementById("lb-step-said");
    const text = step === all.length - 1 ? slider.dataset.now || all[step] : all[step];
    slider.setAttribute("aria-valuetext", text);
    said.textContent = text;
  };

  let asked = 0;
  const showMoment = async (slider) => {
    const mine = ++asked;
    const url = new URL(location.href);
    for (const name of ["at", "step"]) url.searchParams.delete(name);
    url.searchParams.set("step", slider.value);
    url.hash = "";
    try {
      const page = await fetched(url);
      if (mine !== asked) return;
      const old = document.getElementById("lb-values");
      old.replaceWith(document.adoptNode(page.getElementById("lb-values")));
      history.replaceState(null, "", url);
      document.getElementById("lb-step").focus();
    } catch {
      if (mine === asked) slider.form.submit();
    }
  };

  document.addEventListener("input", (event) => {
    if (event.target.id === "lb-step") say(event.target);
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "lb-step") showMoment(event.target);
  });

  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a.lb-why-link");
    const dialog = document.getElementById("lb-why-dialog");
    if (!link || !dialog || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    try {
      const page = await fetched(link.href);
      document.getElementById("lb-why-body").replaceChildren(document.adoptNode(page.getElementById("lb-why")));
      dialog.showModal();
    } catch {
      location.assign(link.href);
    }
  });
})();
