"use strict";
(() => {
const byId = (id) => document.getElementById(id);
const make = (name, props = {}, ...children) => {
  const node = Object.assign(document.createElement(name), props);
  node.append(...children);
  return node;
};
const value = (cell) => cell ? cell.dataset.v ?? cell.textContent.trim() : "";

// A number, or NaN. Percent signs, stars and "±error" of a caption's cells do not count.
const number = (text) => {
  const bare = text.replace(/\s*±.*$/, "").replace(/[%*]/g, "").trim();
  if (/^[+-]?inf(inity)?$/i.test(bare)) return bare[0] === "-" ? -Infinity : Infinity;
  return bare === "" ? NaN : Number(bare);
};
const numeric = (texts) => {
  const full = texts.filter((text) => text !== "" && !/^nan$/i.test(text));
  return full.length > 0 && full.every((text) => !Number.isNaN(number(text)));
};

// Sorting. The fragment `#sort=table:column:asc` names the state.
const names = new Map();
function sortBy(table, at, direction, share) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, text: value(row.cells[at]) }));
  const asNumber = numeric(rows.map((row) => row.text));
  const sign = direction === "desc" ? -1 : 1;
  const missing = ({ text }) => text === "" || (asNumber && Number.isNaN(number(text)));
  const order = ({ text: a }, { text: b }) => {
    if (!asNumber) return a.localeCompare(b, "en", { numeric: true });
    const [x, y] = [number(a), number(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  };
  rows.sort((a, b) => missing(a) - missing(b) || (missing(a) ? 0 : sign * order(a, b)));
  body.append(...rows.map(({ row }) => row));
  heads.forEach((head, i) => head.setAttribute("aria-sort", i !== at ? "none" : sign < 0 ? "descending" : "ascending"));
  if (share) {
    const state = [table.id, heads[at].dataset.name, direction].map(encodeURIComponent).join(":");
    history.replaceState(null, "", "#sort=" + state);
  }
}
function sortable(table) {
  if (!table.tHead || !table.tBodies[0]) return;
  [...table.tHead.rows[0].cells].forEach((head, at) => {
    const cells = [...table.tBodies[0].rows].map((row) => row.cells[at]);
    head.dataset.name ??= head.textContent.trim();
    head.scope = "col";
    head.setAttribute("aria-sort", "none");
    if (numeric(cells.map(value))) [head, ...cells].forEach((cell) => cell && cell.classList.add("num"));
    const button = make("button", { type: "button" }, head.textContent.trim() || "(row)");
    button.addEventListener("click", () =>
      sortBy(table, at, head.getAttribute("aria-sort") === "ascending" ? "desc" : "asc", true));
    head.replaceChildren(button);
  });
  names.set(table.id, table);
}
function applyFragment() {
  const match = /^#sort=([^:]*):([^:]*):(asc|desc)$/.exec(location.hash);
  if (!match) return;
  let parts;
  try { parts = match.slice(1).map(decodeURIComponent); } catch { return; }
  const table = names.get(parts[0]);
  const at = table ? [...table.tHead.rows[0].cells].findIndex((head) => head.dataset.name === parts[1]) : -1;
  if (at >= 0) sortBy(table, at, parts[2], false);
}

const table = byId("data");
const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map(value));
const columns = [...table.tHead.rows[0].cells].map((head, at) =>
  ({ name: head.dataset.name, at, number: head.classList.contains("num") }));
const distinct = (at) => [...new Set(rows.map((row) => row[at]))];

// Filtering.
const filter = byId("filter");
const body = [...table.tBodies[0].rows];
function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of body) {
    const text = [...row.cells].map(value).join("\n").toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += !row.hidden;
  }
  byId("shown").textContent = `${shown} of ${body.length} rows`;
}
filter.addEventListener("input", applyFilter);
applyFilter();

// The row of a point.
const tip = byId("tip");
function showTip(row, box) {
  tip.replaceChildren(...columns.filter(({ at }) => row[at] !== "").map(({ name, at }) =>
    make("div", {}, make("b", {}, name + ": "), row[at])));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.min(box.right + 8, innerWidth - width - 8);
  const top = Math.min(box.bottom + 8, innerHeight - height - 8);
  tip.style.left = Math.max(4, left) + "px";
  tip.style.top = Math.max(4, top) + "px";
}
const hideTip = () => { tip.hidden = true; };
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
// Reaching a mark by Tab may scroll to it: its row moves along. Other rows go.
document.addEventListener("scroll", () => {
  const mark = document.activeElement;
  if (mark?.tagName === "circle") mark.dispatchEvent(new Event("focus"));
  else hideTip();
}, { passive: true });
document.addEventListener("pointerdown", (event) => { if (event.target.tagName !== "circle") hideTip(); });

// The chart.
// The figures' colours. Beyond the list, the golden angle keeps neighbours apart.
const has = (name) => getComputedStyle(document.documentElement).getPropertyValue(name) !== "";
const colour = (column, text, at) => {
  if (column?.name === "format") return `var(--format-${has("--format-" + text) ? text : "other"})`;
  return has("--hue-" + at) ? `var(--hue-${at})` : `hsl(${(at * 137.5) % 360} 55% 50%)`;
};
const svgNode = (name, attributes, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, text] of Object.entries(attributes)) node.setAttribute(key, text);
  node.append(...children);
  return node;
};
// A tick's text, with as many digits as tell it from a neighbour that is `step` away.
function short(v, step) {
  if (v === 0 || Math.abs(v) < step / 2) return "0";
  const digits = Math.min(9, Math.max(0, Math.ceil(Math.log10(Math.abs(v) / step) - 1e-9)));
  if (Math.abs(v) < 1e5 && Math.abs(v) >= 1e-3) return String(+v.toPrecision(digits + 1));
  return v.toExponential(digits).replace(/\.?0+e/, "e").replace("e+", "e");
}
// Whether a column's axis is logarithmic: all is positive, and one of the panels spans more than a factor of eight.
function logarithmic(column, panels) {
  const values = panels.map((cells) => cells.map(number).filter(Number.isFinite));
  return column.number && values.flat().every((v) => v > 0) &&
    values.some((panel) => panel.reduce((a, b) => Math.max(a, b), 0) > 8 * panel.reduce((a, b) => Math.min(a, b), Infinity));
}
// A scale over the finite values of a column: its place of a cell from 0 to 1, and its ticks.
function scale(column, cells, log) {
  if (!column.number) {
    const texts = [...new Set(cells)];
    const place = (text) => (texts.indexOf(text) + 0.5) / texts.length;
    const step = Math.ceil(texts.length / 8);
    return { place, log: false, ticks: texts.filter((_, i) => i % step === 0).map((t) => [place(t), t.length > 12 ? t.slice(0, 11) + "…" : t]) };
  }
  const values = cells.map(number).filter(Number.isFinite);
  const [least, most] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const to = log ? Math.log10 : (v) => v;
  const room = (to(most) - to(least)) * 0.05 || Math.abs(to(most)) * 0.05 || 1;
  const [from, until] = [to(least) - room, to(most) + room];
  const place = (text) => (to(number(text)) - from) / (until - from);
  const ticks = [];
  let gap = 0;
  if (log) {
    const marks = until - from > 2.5 ? [1] : until - from > 0.5 ? [1, 2, 5] : [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9];
    for (let e = Math.floor(from); e <= until; e++) for (const m of marks) ticks.push(m * 10 ** e);
  } else {
    const raw = (until - from) / 5, unit = 10 ** Math.floor(Math.log10(raw));
    const step = unit * [1, 2, 5, 10].find((m) => m * unit >= raw);
    gap = step;
    for (let i = Math.ceil(from / step); i * step <= until; i++) ticks.push(i * step);
  }
  return { place, log, ticks: ticks.map((v) => [(to(v) - from) / (until - from), short(v, gap || v / 10)]).filter(([p]) => p >= 0 && p <= 1) };
}
const [HIGH, LEFT, LOW] = [360, 68, 46];
function panel(title, members, x, y, hue, sx, sy, hues) {
  // A narrow screen gets a narrow chart rather than small letters.
  const WIDE = Math.max(280, Math.min(540, byId("chart").clientWidth));
  const px = (p) => LEFT + p * (WIDE - LEFT - 12), py = (p) => HIGH - LOW - p * (HIGH - LOW - 12);
  const svg = svgNode("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "group", "aria-label": `${y.name} by ${x.name}${title ? ", " + title : ""}` });
  for (const [p, text] of sx.ticks) svg.append(
    svgNode("line", { class: "grid", x1: px(p), x2: px(p), y1: py(0), y2: py(1) }),
    svgNode("text", { x: px(p), y: HIGH - LOW + 16, "text-anchor": "middle" }, text));
  for (const [p, text] of sy.ticks) svg.append(
    svgNode("line", { class: "grid", x1: px(0), x2: px(1), y1: py(p), y2: py(p) }),
    svgNode("text", { x: LEFT - 6, y: py(p) + 4, "text-anchor": "end" }, text));
  svg.append(
    svgNode("text", { x: px(0.5), y: HIGH - 8, "text-anchor": "middle" }, x.name + (sx.log ? " (log)" : "")),
    svgNode("text", { transform: `translate(14 ${py(0.5)}) rotate(-90)`, "text-anchor": "middle" }, y.name + (sy.log ? " (log)" : "")));
  for (const row of members) {
    const [cx, cy] = [px(sx.place(row[x.at])), py(sy.place(row[y.at]))];
    if (!Number.isFinite(cx) || !Number.isFinite(cy)) continue;
    const label = columns.filter(({ at }) => row[at] !== "").map(({ name, at }) => `${name} ${row[at]}`).join(", ");
    const mark = svgNode("circle", { cx, cy, r: 6, tabindex: 0, role: "img", "aria-label": label, "fill-opacity": 0.85 });
    mark.style.fill = hue ? colour(hue, row[hue.at], hues.indexOf(row[hue.at])) : colour(null, "", 0);
    const show = () => showTip(row, mark.getBoundingClientRect());
    for (const event of ["pointerenter", "focus", "click"]) mark.addEventListener(event, show);
    mark.addEventListener("blur", hideTip);
    mark.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hideTip(); });
    svg.append(mark);
  }
  return make("div", { className: "panel" }, ...(title ? [make("h3", {}, title)] : []), svg);
}
const filled = columns.filter(({ at }) => rows.some((row) => row[at] !== ""));
const varied = filled.filter(({ at }) => distinct(at).length > 1);
const numbers = varied.filter((column) => column.number);
const prefer = (list, wanted) => wanted.map((name) => list.find((column) => column.name === name)).find(Boolean) ?? list[0];
const first = {
  x: prefer(numbers.length ? numbers : filled, ["total_bits", "cycles", "energy_pj"]),
  y: prefer(numbers.length ? numbers : filled, ["value", "perplexity", "cross_entropy", "accuracy", "output_error", "cycles"]),
  colour: prefer(varied.filter((c) => !c.number && distinct(c.at).length <= 12), ["format", "quantiser", "pruner", "sparsity"]),
  panel: varied.find(({ name }) => name === "model"),
};
const picks = {};
function draw() {
  const pick = (role) => columns[picks[role].value];
  const [x, y, hue, split] = ["x", "y", "colour", "panel"].map(pick);
  const hues = hue ? distinct(hue.at) : [];
  const groups = split ? distinct(split.at) : [null];
  const panels = groups.map((group) => ({
    title: group === null ? "" : `${split.name}: ${group}`,
    members: rows.filter((row) => (group === null || row[split.at] === group) && row[x.at] !== "" && row[y.at] !== ""),
  })).filter(({ members }) => members.length);
  const logs = [x, y].map((column) => logarithmic(column, panels.map(({ members }) => members.map((row) => row[column.at]))));
  const nodes = panels.map(({ title, members }) => {
    const [sx, sy] = [x, y].map((column, i) => scale(column, members.map((row) => row[column.at]), logs[i]));
    return panel(title, members, x, y, hue, sx, sy, hues);
  });
  if (hue) nodes.push(make("div", { className: "legend" }, ...hues.map((text, at) => {
    const dot = make("i");
    dot.style.background = colour(hue, text, at);
    return make("span", {}, dot, text || "(empty)");
  })));
  byId("chart").replaceChildren(...nodes);
}
if (rows.length && filled.length) {
  for (const role of ["x", "y", "colour", "panel"]) {
    const select = make("select");
    const axis = role === "x" || role === "y";
    if (!axis) select.append(make("option", { value: "" }, "none"));
    const most = role === "panel" ? 12 : 40;
    for (const column of filled) {
      if (axis || distinct(column.at).length <= most) select.append(make("option", { value: column.at, selected: column === first[role] }, column.name));
    }
    select.addEventListener("change", draw);
    picks[role] = select;
    byId("axes").append(make("label", {}, role, select));
  }
  draw();
  addEventListener("resize", draw);
} else {
  byId("explore").hidden = true;
}

// The layers of a cell.
const cells = JSON.parse(byId("cells").textContent);
const choice = byId("cell");
function showCell() {
  const { columns: heads, rows: lines } = cells[choice.value];
  const target = byId("layers");
  const body = make("tbody", {}, ...lines.map((line) => make("tr", {}, ...line.map((text) => make("td", {}, text)))));
  target.replaceChildren(make("thead", {}, make("tr", {}, ...heads.map((name) => make("th", {}, name)))), body);
  heads.forEach((_, at) => {
    const texts = lines.map((line) => line[at]);
    const most = Math.max(...texts.map(number).filter(Number.isFinite));
    if (!numeric(texts) || !(most > 0)) return;
    for (const row of body.rows) {
      const v = number(value(row.cells[at]));
      if (!(v >= 0 && Number.isFinite(v))) continue;
      row.cells[at].classList.add("bar");
      row.cells[at].style.setProperty("--part", `${100 * v / most}%`);
      if (row.cells[at].textContent.length > 9) {
        row.cells[at].dataset.v = row.cells[at].title = row.cells[at].textContent;
        row.cells[at].textContent = Number.isInteger(v) ? v.toString() : v >= 1000 ? v.toFixed(1) : String(+v.toPrecision(6));
      }
    }
  });
  sortable(target);
}
if (cells.length) {
  choice.append(...cells.map(({ label }, at) => make("option", { value: at }, label)));
  choice.addEventListener("change", showCell);
  showCell();
} else {
  byId("drill").hidden = true;
}

// Links to what is not here lead nowhere.
for (const link of document.querySelectorAll("nav a")) {
  const target = byId(link.hash.slice(1));
  link.hidden = !target || target.hidden || target.childElementCount === 0;
}
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const target = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(target.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(target);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
let count = 0;
for (const each of document.querySelectorAll("table.sortable")) {
  each.id ||= `caption${++count}`;
  if (each.id !== "layers") sortable(each);
}
addEventListener("hashchange", applyFragment);
applyFragment();
})();
