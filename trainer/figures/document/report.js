// Draws a figure live once it comes into view: hover, sort, filter, pick a reference. Without it the figures
// stand as they are. Expressions go through Vega's interpreter, so that nothing is ever evaluated as code.
"use strict";
(function () {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  function element(kind, text) {
    const made = document.createElement(kind);
    made.textContent = text;
    return made;
  }

  function showTip(_handler, event, _item, value) {
    if (!value || typeof value !== "object") {
      tip.hidden = true;
      return;
    }
    const list = document.createElement("dl");
    for (const [name, text] of Object.entries(value)) list.append(element("dt", name), element("dd", text));
    tip.replaceChildren(list);
    tip.hidden = false;
    const right = event.clientX + 14 + tip.offsetWidth < window.innerWidth;
    tip.style.left = `${right ? event.clientX + 14 : Math.max(0, event.clientX - tip.offsetWidth - 14)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, Math.max(0, window.innerHeight - tip.offsetHeight))}px`;
  }

  function rowsOf(table) {
    return table.data.map((cells) => Object.fromEntries(cells.map((cell, place) => [table.columns[place], cell])));
  }

  function csvOf(table) {
    const cell = (value) => {
      const text = value === null ? "" : /^[=+@\t\r-]/.test(value) && typeof value === "string" ? `'${value}` : `${value}`;
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return [table.columns, ...table.data].map((line) => line.map(cell).join(",") + "\n").join("");
  }

  function save(name, address) {
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
  }

  function offerFiles(section, table, view) {
    const files = section.querySelector(".files");
    const offer = (label, make) => {
      const button = element("button", label);
      button.type = "button";
      button.addEventListener("click", async () => save(`${section.id}.${label.toLowerCase()}`, await make()));
      files.append(button);
    };
    offer("CSV", () => URL.createObjectURL(new Blob([csvOf(table)], { type: "text/csv" })));
    if (view) {
      offer("SVG", () => view.toImageURL("svg"));
      offer("PNG", () => view.background("white").toImageURL("png", 2));
    }
    files.hidden = false;
  }

  async function enliven(section) {
    const data = JSON.parse(document.getElementById(`${section.id}-data`).textContent);
    if (!data.chart) {
      offerFiles(section, data.table, null);
      return;
    }
    for (const source of data.chart.data) if (source.name === "rows") source.values = rowsOf(data.table);
    const place = section.querySelector(".drawing");
    const controls = section.querySelector(".controls");
    const live = document.createElement("div");
    live.setAttribute("aria-hidden", "true"); // the drawing as a whole has a name and a description
    const view = new vega.View(vega.parse(data.chart, null, { ast: true }), {
      expr: vegaInterpreter.expressionInterpreter,
      renderer: "svg",
      container: live,
      bind: controls,
      hover: true,
      tooltip: showTip,
      loader: { load: () => Promise.reject(new Error("a report loads nothing")), sanitize: () => Promise.reject(new Error("a report links nothing")) },
    });
    await view.runAsync();
    controls.hidden = !controls.hasChildNodes();
    place.querySelector(".drawn").replaceChildren(live);
    place.classList.add("live");
    offerFiles(section, data.table, view);
  }

  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        enliven(entry.target).catch((error) => console.error(`${entry.target.id}: ${error.message}`));
      }
    },
    { rootMargin: "400px" },
  );
  for (const section of document.querySelectorAll("section.figure")) seen.observe(section);
})();
