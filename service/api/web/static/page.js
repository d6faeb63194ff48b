// What htmx does not do by itself: say that the service does not answer, and keep a log at its end.
(() => {
  "use strict";
  const trouble = () => document.getElementById("trouble");
  const clock = () => new Date().toLocaleTimeString();
  let since = clock();

  const say = (text) => {
    const place = trouble();
    if (place.textContent !== text) place.textContent = text;
    place.hidden = text === "";
  };
  document.addEventListener("htmx:afterRequest", (event) => {
    const status = event.detail.xhr ? event.detail.xhr.status : 0;
    if (event.detail.successful) {
      since = clock();
      say("");
    } else if (status === 401) {
      say("You are logged out. Load the page again to log in.");
    } else if (status === 0 || status >= 500) {
      say(`The service does not answer. What is shown is of ${since}.`);
    }
  });

  const atEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 8;
  const toEnd = (within) => within.querySelectorAll("pre.log").forEach((log) => { log.scrollTop = log.scrollHeight; });
  let follow = true;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const log = event.detail.target && event.detail.target.querySelector("pre.log");
    follow = !log || atEnd(log);
  });
  document.addEventListener("htmx:afterSettle", () => { if (follow) toEnd(document); });
  document.addEventListener("DOMContentLoaded", () => toEnd(document));
})();
