"use strict";
// The page of an evaluation: a table that sorts, and a viewer of one picture at a time.
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const make = (tag, text = "", more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);
const CROP_PX = 64;
let sorted = { column: 0, down: false };
let shown = null;

// --- the table

function figure() { return data.figures[find("figure").selectedIndex]; }

function columns() {
  const chosen = figure();
  const found = [{ title: "picture", of: (row) => row.name }];
  if (data.classes) found.push({ title: "rain", of: (row) => row.class });
  if (chosen.before) found.push({ title: "rainy", of: (row) => row.before[chosen.key], number: true });
  data.methods.forEach((name, i) => found.push({ title: name, of: (row) => row.after[i][chosen.key], number: true, method: true }));
  return found;
}

function compare(a, b) {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  const order = typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  return sorted.down ? -order : order;
}

function told(value) {
  return value === null || value === undefined ? "-" : typeof value === "number" ? value.toFixed(figure().digits) : value;
}

function drawTable() {
  const found = columns();
  sorted.column = Math.min(sorted.column, found.length - 1);
  const head = make("tr");
  found.forEach((column, i) => {
    const cell = make("th", "", { scope: "col" });
    if (i === sorted.column) cell.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
    const button = make("button", column.title, { type: "button" });
    button.onclick = () => {
      sorted = { column: i, down: i === sorted.column ? !sorted.down : false };
      drawTable();
      find("pictures").querySelectorAll("th button")[i].focus();
    };
    cell.append(button);
    head.append(cell);
  });
  find("pictures").tHead.replaceChildren(head);
  const order = [...data.rows].sort((a, b) => compare(found[sorted.column].of(a), found[sorted.column].of(b)));
  find("pictures").tBodies[0].replaceChildren(...order.map((row) => drawRow(row, found)));
}

function drawRow(row, found) {
  const line = make("tr", "", { className: row === shown ? "shown" : "" });
  const better = figure().better;
  const values = found.filter((column) => column.method).map((column) => column.of(row)).filter((value) => typeof value === "number");
  const best = better && values.length > 1 ? (better > 0 ? Math.max(...values) : Math.min(...values)) : null;
  found.forEach((column, i) => {
    const value = column.of(row);
    const cell = make("td", i ? told(value) : "", { className: column.method && best !== null && value === best ? "best" : "" });
    if (!i) cell.append(row.view ? opener(row) : make("span", row.name));
    line.append(cell);
  });
  return line;
}

function opener(row) {
  const button = make("button", "", { type: "button" });
  button.append(make("img", "", { src: row.view.thumbnail, alt: "" }), make("span", row.name));
  button.onclick = () => { show(row); find("viewer").scrollIntoView({ behavior: "smooth" }); };
  return button;
}

// --- the viewer

function states(view) {
  const found = [{ title: "rainy", file: view.rainy }];
  data.methods.forEach((name, i) => found.push({ title: name, file: view.derained[i], method: i }));
  if (view.target) found.push({ title: view.target_name, file: view.target, target: true });
  return found;
}

function caption(row, state) {
  if (state.target) return state.title;
  const chosen = data.figures.find((one) => one.before) || figure();
  const value = state.method === undefined ? row.before[chosen.key] : row.after[state.method][chosen.key];
  return typeof value === "number" ? `${state.title}: ${chosen.title.replace(" [dB]", "")} ${value.toFixed(chosen.digits)}${chosen.title.includes("[dB]") ? " dB" : ""}` : state.title;
}

function framed(picture, text) {
  const found = make("figure");
  found.append(picture, make("figcaption", text));
  return found;
}

function show(row) {
  shown = row;
  const view = row.view, found = states(view);
  find("viewer").hidden = false;
  find("shown-name").textContent = row.name + (row.class ? ` (${row.class} rain)` : "");
  find("compare").style.aspectRatio = `${view.width} / ${view.height}`;
  find("compare").style.width = find("cut").style.width = `min(100%, ${Math.max(view.width, 2 * Math.min(view.width, 500))}px, ${Math.round(85 * view.width / view.height)}vh)`;
  drawCompare();
  find("beside").replaceChildren(...found.map((state) => framed(make("img", "", { src: state.file, alt: state.title, loading: "lazy" }), caption(row, state))));
  find("errors").replaceChildren(...view.errors.map((file, i) => framed(make("img", "", { src: file, alt: `error of ${data.methods[i]}`, loading: "lazy" }), data.methods[i])));
  find("crops").replaceChildren(...view.windows.map((place) => drawCrops(view, found, place)));
  drawTable();
}

function drawCompare() {
  const found = states(shown.view);
  for (const side of ["left", "right"]) {
    const state = found[Math.min(find(side).selectedIndex, found.length - 1)];
    Object.assign(find(`${side}-picture`), { src: state.file, alt: state.title });
  }
}

function drawCrops(view, found, place) {
  const line = make("div", "", { className: "row" });
  for (const state of found) {
    const crop = make("div", "", { className: "crop" });
    crop.setAttribute("role", "img");
    crop.setAttribute("aria-label", `${state.title}, enlarged`);
    crop.style.backgroundImage = `url("${state.file}")`;
    const grown = (window.matchMedia("(max-width: 640px)").matches ? 128 : 192) / CROP_PX;
    crop.style.backgroundSize = `${view.width * grown}px ${view.height * grown}px`;
    crop.style.backgroundPosition = `${-place.left * grown}px ${-place.top * grown}px`;
    line.append(framed(crop, state.method === place.method ? `${state.title} (worst here)` : state.title));
  }
  return line;
}

function step(by) {
  const names = [...find("pictures").tBodies[0].querySelectorAll("td:first-child button")].map((one) => one.textContent);
  const place = names.indexOf(shown.name) + by;
  if (place >= 0 && place < names.length) show(data.rows.find((row) => row.view && row.name === names[place]));
}

function cutAt(percent) {
  find("cut").value = percent;
  find("compare").style.setProperty("--cut", `${find("cut").value}%`);
}

function dragged(event) {
  if (event.type === "pointermove" && !event.buttons) return;
  const box = find("compare").getBoundingClientRect();
  cutAt(100 * (event.clientX - box.left) / box.width);
}

// --- beginning

find("figure").replaceChildren(...data.figures.map((one) => make("option", one.title)));
find("figure").onchange = drawTable;
find("errors-title").textContent = data.errors;
const first = data.rows.find((row) => row.view);
if (first) {
  for (const side of ["left", "right"]) find(side).replaceChildren(...states(first.view).map((state) => make("option", state.title)));
  find("left").selectedIndex = 0;
  find("right").selectedIndex = 1;
  find("left").onchange = find("right").onchange = drawCompare;
}
find("cut").oninput = () => cutAt(find("cut").value);
find("compare").onpointerdown = (event) => { event.preventDefault(); find("compare").setPointerCapture(event.pointerId); dragged(event); };
find("compare").onpointermove = dragged;
find("before").onclick = () => step(-1);
find("after").onclick = () => step(1);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || ["SELECT", "INPUT"].includes(event.target.tagName) && event.target.type !== "range") return;
  if (shown && (event.key === "n" || event.key === "p")) step(event.key === "n" ? 1 : -1);
});
sorted = { column: (data.classes ? 2 : 1) + (figure().before ? 1 : 0), down: figure().better < 0 };
drawTable();
if (first) show(data.rows.filter((row) => row.view).sort((a, b) => compare(columns()[sorted.column].of(a), columns()[sorted.column].of(b)))[0]);
