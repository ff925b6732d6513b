"use strict";

// Leads to the row of a layer, from a plot as from a link.
function npuTuneShowLayer(layer) {
  const row = [...document.querySelectorAll("tr[data-layer]")].find((each) => each.dataset.layer === layer);
  if (!row) return;
  const filter = row.closest("section").querySelector("input[type=search]");
  if (filter) {
    filter.value = "";
    filter.dispatchEvent(new Event("input"));
  }
  for (const shown of document.querySelectorAll("tr.shown")) shown.classList.remove("shown");
  row.classList.add("shown");
  row.scrollIntoView({ block: "center" });
}

// A table shows the rows that hold every word of its filter.
for (const input of document.querySelectorAll(".filter input")) {
  const rows = [...input.closest("section").querySelectorAll("tbody tr")];
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}

// A click on a heading sorts by its column, a second one the other way round.
for (const heading of document.querySelectorAll("th")) {
  const sort = () => {
    const column = heading.cellIndex;
    const body = heading.closest("table").tBodies[0];
    const rising = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const key = (row) => {
      const cell = row.cells[column];
      return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
    };
    const compare = (one, other) => {
      const [left, right] = [key(one), key(other)];
      if (typeof left !== typeof right) return typeof left === "number" ? -1 : 1;
      const order = typeof left === "number" ? left - right : left.localeCompare(right);
      return rising ? order : -order;
    };
    body.append(...[...body.rows].sort(compare));
  };
  heading.addEventListener("click", sort);
  heading.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      sort();
    }
  });
}

for (const link of document.querySelectorAll("td a[href^='#layer-']")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    npuTuneShowLayer(document.querySelector(link.hash).dataset.layer);
  });
}

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", () => {
    const text = button.previousElementSibling.textContent;
    const said = (word) => {
      button.textContent = word;
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    };
    // A file that is opened from a disk may not write to the clipboard everywhere.
    if (!navigator.clipboard) return said("Select and copy");
    navigator.clipboard.writeText(text).then(() => said("Copied"), () => said("Select and copy"));
  });
}

// Plots are drawn in the colours of the page, light or dark, also when that changes.
function npuTuneColour() {
  const style = getComputedStyle(document.documentElement);
  const [text, soft, line] = ["--text", "--soft", "--line"].map((name) => style.getPropertyValue(name).trim());
  for (const drawn of Bokeh.documents.flatMap((each) => [...each._all_models.values()])) {
    if (drawn.type.endsWith("Axis")) {
      drawn.setv({
        axis_label_text_color: soft, major_label_text_color: soft, axis_line_color: line,
        major_tick_line_color: line, minor_tick_line_color: null,
      });
    } else if (drawn.type === "Grid") {
      drawn.setv({ grid_line_color: drawn.grid_line_color === null ? null : line });
    } else if (drawn.type === "Title") {
      drawn.setv({ text_color: text });
    } else if (drawn.type === "Legend") {
      drawn.setv({ label_text_color: text });
    }
  }
}

// Bokeh makes its documents once the page is there, and says when it has drawn them.
window.addEventListener("load", () => {
  const ready = () => { document.documentElement.dataset.ready = "true"; };
  const wait = () => {
    if (Bokeh.documents.length === 0) return requestAnimationFrame(wait);
    npuTuneColour();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", npuTuneColour);
    for (const drawn of Bokeh.documents) drawn.is_idle ? ready() : drawn.idle.connect(ready);
  };
  if (document.querySelector(".plot")) wait();
  else ready();
});
