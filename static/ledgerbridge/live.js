/* Looks again at the page, through htmx: the parts marked data-live are replaced when they read otherwise.
   It asks often while something moves, seldom while nothing does, and not at all while nobody looks or all is done.
   Without this script the page is the same, only still. */
(function () {
  "use strict";
  if (window.ledgerbridgeLooks) return;
  window.ledgerbridgeLooks = true;
  const MOVING = 2500, CALM = 10000, LONGEST = 60000;
  const sign = document.querySelector("meta[name='lb-live']");
  let known = sign ? sign.content : "none", wait = 0, timer = 0, kept = false;

  const parts = () => document.querySelectorAll("[data-live]:not([data-live='done'])");
  const moving = () => !!document.querySelector("[data-live='moving'],[data-live='']");
  const busy = (part) => part.contains(document.activeElement) || !!part.querySelector("input[type=checkbox]:checked");

  function later(reset) {
    clearTimeout(timer);
    if (!parts().length) return;
    wait = reset || !wait ? (moving() ? MOVING : CALM) : Math.min(wait * 1.5, moving() ? CALM : LONGEST);
    timer = setTimeout(look, wait);
  }

  function look() {
    if (document.hidden) return;
    kept = false;
    htmx.ajax("GET", location.pathname + location.search, {
      source: document.body, target: document.body, swap: "none", headers: { "X-Live": known },
    }).catch(() => later(false));
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden && parts().length) look();
  });
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (event.detail.target && busy(event.detail.target)) {
      event.detail.shouldSwap = false;
      kept = true;
    }
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const answer = event.detail.xhr, print = answer && answer.getResponseHeader("X-Live");
    if (!answer || !(event.detail.requestConfig.headers || {})["X-Live"]) return;
    if (!print && answer.status === 200) return;  /* signed out: the next click says so */
    if (print && !kept) known = print;
    later(answer.status === 200);
  });
  document.addEventListener("DOMContentLoaded", () => later(true));
})();
