/* Looks again at the page while something runs: every part marked data-live is replaced by its newer self.
   Without this script the page is the same, only still. */
(function () {
  "use strict";
  const EVERY = 3000;

  async function look() {
    const parts = document.querySelectorAll("[data-live]");
    if (!parts.length || document.querySelector("[data-live='still']")) return;
    if (document.hidden) return void setTimeout(look, EVERY);
    try {
      const answer = await fetch(location.href, { headers: { "X-Requested-With": "live" } });
      if (answer.ok && !answer.redirected) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of parts) {
          const newer = document.getElementById(part.id) && fresh.getElementById(part.id);
          if (newer && !part.contains(document.activeElement)) part.replaceWith(document.importNode(newer, true));
        }
      }
    } catch {
      /* offline for a moment: the next look may succeed */
    }
    setTimeout(look, EVERY);
  }

  setTimeout(look, EVERY);
})();
