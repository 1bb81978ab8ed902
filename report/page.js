"use strict";

const template = JSON.parse(document.getElementById("plot-template").textContent);
const config = {
  responsive: true,
  displaylogo: false,
  showLink: false,
  showEditInChartStudio: false,
  showSendToCloud: false,
  plotlyServerURL: "",
  topojsonURL: "",
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
  toImageButtonOptions: { format: "svg" },
};

for (const holder of document.querySelectorAll(".holder")) {
  const spec = JSON.parse(holder.querySelector("script").textContent);
  spec.layout.template = template;
  Plotly.newPlot(holder.querySelector(".plot"), spec.data, spec.layout, config);
}

// Plots over the same time axis zoom together.
for (const group of document.querySelectorAll(".plots.linked")) {
  const plots = [...group.querySelectorAll(".plot")];
  for (const plot of plots) {
    plot.on("plotly_relayout", (change) => {
      const named = Object.keys(change).filter((name) => name.startsWith("xaxis."));
      if (!named.length || change.linked) return;
      const range = Object.fromEntries(named.map((name) => [name, change[name]]));
      for (const other of plots) if (other !== plot) Plotly.relayout(other, { ...range, linked: true });
    });
  }
}

// Paper is narrower than the window that the plots were drawn for; resizing must be done before the event returns.
window.addEventListener("beforeprint", () => {
  document.body.style.width = "180mm";
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    Plotly.relayout(plot, { width: plot.parentElement.clientWidth, height: plot.clientHeight });
  }
});
window.addEventListener("afterprint", () => {
  document.body.style.width = "";
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    Plotly.relayout(plot, { width: null, height: null, autosize: true });
  }
});

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const original = [...body.rows];
  headings.forEach((heading, column) => {
    heading.tabIndex = 0;
    const sort = () => {
      const was = heading.getAttribute("aria-sort");
      const numeric = heading.dataset.sort === "number";
      // Numbers begin with the largest, names with A; a third press brings back the order of the file.
      const order = numeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
      const next = order[(order.indexOf(was) + 1) % order.length];
      for (const other of headings) other.removeAttribute("aria-sort");
      if (next) heading.setAttribute("aria-sort", next);
      const sign = next === "descending" ? -1 : 1;
      const key = (row) => row.cells[column].dataset.value ?? "";
      const compare = (a, b) => {
        const x = key(a), y = key(b);
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (numeric ? Number(x) - Number(y) : x.localeCompare(y));
      };
      body.append(...(next ? [...original].sort(compare) : original));
    };
    heading.addEventListener("click", sort);
    heading.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sort();
      }
    });
  });
}
