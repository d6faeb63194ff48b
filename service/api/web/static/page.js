// What htmx does not do by itself: say that the service does not answer, and leave a reader where he was.
(() => {
  "use strict";
  let since = new Date();

  const say = (text) => {
    const place = document.getElementById("trouble");
    if (place.textContent !== text) place.textContent = text;
    place.hidden = text === "";
  };
  document.addEventListener("htmx:afterRequest", (event) => {
    const status = event.detail.xhr ? event.detail.xhr.status : 0;
    if (event.detail.successful) {
      since = new Date();
      say("");
    } else if (status === 401) {
      say("You are logged out. Load the page again to log in.");
    } else if (status === 0 || status >= 500) {
      say(`The service does not answer. What is shown is of ${since.toLocaleTimeString()}.`);
    }
  });

  // A part that is put anew opens what was open, scrolls to where it was, and a log to its end, if it was there.
  const atEnd = (part) => part.scrollHeight - part.scrollTop - part.clientHeight < 8;
  let places = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    places = [...event.detail.target.querySelectorAll("[id]")].map((part) => ({
      id: part.id,
      open: part.open === true,
      left: part.scrollLeft,
      top: atEnd(part) ? Infinity : part.scrollTop,
    }));
  });
  document.addEventListener("htmx:afterSettle", () => {
    for (const { id, open, left, top } of places) {
      const part = document.getElementById(id);
      if (!part) continue;
      if (open) part.open = true;
      part.scrollLeft = left;
      part.scrollTop = Math.min(top, part.scrollHeight);
    }
    places = [];
  });
  // At each event the part asks at once. A hidden page listens to nothing: browsers share few connections.
  let stream = null;
  const listen = () => {
    if (stream) stream.close();
    const part = document.querySelector("[data-events]");
    stream = part && !document.hidden ? new EventSource(part.dataset.events) : null;
    if (!stream) return;
    stream.addEventListener("event", () => document.querySelector(".live").dispatchEvent(new Event("happened")));
    stream.addEventListener("end", () => stream.close());
  };
  document.addEventListener("visibilitychange", listen);
  listen();

  document.querySelectorAll("pre.log").forEach((log) => { log.scrollTop = log.scrollHeight; });
})();
