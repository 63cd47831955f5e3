"use strict";

// Two pictures of one scene side by side, and which is better. The server says what comes next; the page moves on only
// once the server has stored the answer, and asks again for as long as it cannot be reached.

const BLANK_MS = 120; // nothing is shown between two comparisons: no flicker that would point out differences
const RETRY_MS = 1000;
const LONGEST_ANSWER_S = 86400;
const ZOOM_PER_WHEEL = 1 / 300; // doublings a pixel of the wheel
const PIXELS_FROM = 3; // device pixels a picture's pixel from which pixels are shown as they are
const MOST_SCALE = 16; // device pixels a picture's pixel

const element = (id) => document.getElementById(id);
const panes = { left: element("left"), right: element("right") };
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

let state = null; // what the server said last
let ready = false; // both pictures are there, and an answer is awaited
let shownAt = 0;
let pictures = {}; // the images that are shown, by side; reference_left and reference_right where there is one
let view = { zoom: 1, x: 0.5, y: 0.5 }; // zoom over fitting the pane; the picture's point in the middle of the pane
let pointer = null; // where the pointer is inside a pane
const held = new Map(); // where each pressed button or finger is

// ---------------------------------------------------------------- the server

async function post(path, body) {
  for (;;) {
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      if (answer.ok) {
        element("trouble").textContent = "";
        return await answer.json();
      }
      if (answer.status < 500) throw new Refusal((await answer.json()).error);
    } catch (error) {
      if (error instanceof Refusal) throw error;
    }
    element("trouble").textContent = "The server cannot be reached. Trying again; nothing is lost.";
    await pause(RETRY_MS);
  }
}

class Refusal extends Error {}

function image(address) {
  const one = new Image();
  one.draggable = false;
  one.alt = "";
  one.src = `picture/${address}`;
  return one;
}

// ---------------------------------------------------------------- a comparison

async function show(next) {
  state = next;
  ready = false;
  for (const pane of Object.values(panes)) pane.classList.add("waiting");
  element("rater-name").textContent = state.rater;
  element("question").textContent = state.question;
  element("count").textContent = state.total ? `${state.done} of ${state.total}` : "";
  element("progress").max = state.total || 1;
  element("progress").value = state.done;
  const asked = state.comparison;
  element("end").hidden = asked !== null;
  element("show-reference").hidden = asked === null || asked.reference === null;
  if (asked !== null) await showPictures(asked);
  buttons();
}

async function showPictures(asked) {
  const loading = { left: image(asked.left), right: image(asked.right) };
  if (asked.reference) {
    loading.reference_left = image(asked.reference);
    loading.reference_right = image(asked.reference);
  }
  try {
    await Promise.all([pause(BLANK_MS), ...Object.values(loading).map((one) => one.decode())]);
  } catch {
    element("trouble").textContent = "A picture could not be shown. Trying again.";
    await pause(RETRY_MS);
    return show(await post("begin", { rater: state.rater }));
  }
  element("trouble").textContent = "";
  pictures = loading;
  view = { zoom: 1, x: 0.5, y: 0.5 };
  for (const [side, pane] of Object.entries(panes)) {
    pane.replaceChildren(...[pictures[side], pictures[`reference_${side}`]].filter(Boolean));
  }
  reference(false);
  place();
  for (const pane of Object.values(panes)) pane.classList.remove("waiting"); // both at once
  ready = true;
  shownAt = performance.now();
  for (const address of state.ahead) image(address); // into the browser's cache
}

async function answer(given) {
  if (!ready) return;
  ready = false;
  buttons();
  const seconds = Math.min((performance.now() - shownAt) / 1000, LONGEST_ANSWER_S);
  await ask("answer", { rater: state.rater, number: state.comparison.number, answer: given, seconds });
}

async function undo() {
  if (state === null || state.done === 0 || !(ready || state.comparison === null)) return;
  ready = false;
  buttons();
  await ask("undo", { rater: state.rater, number: state.done - 1 });
}

async function ask(path, body) {
  try {
    await show(await post(path, body));
  } catch (error) {
    element("trouble").textContent = error.message;
  }
}

function buttons() {
  for (const id of ["answer-left", "answer-tie", "answer-right", "zoom"]) element(id).disabled = !ready;
  element("undo").disabled = state === null || state.done === 0 || !(ready || state.comparison === null);
}

// ---------------------------------------------------------------- looking closer, both pictures alike

function fit() {
  const { clientWidth, clientHeight } = panes.left;
  const { naturalWidth, naturalHeight } = pictures.left;
  return Math.min(clientWidth / naturalWidth, clientHeight / naturalHeight);
}

function place() {
  if (!pictures.left) return;
  const scale = fit() * view.zoom;
  const { clientWidth, clientHeight } = panes.left;
  const width = pictures.left.naturalWidth * scale;
  const height = pictures.left.naturalHeight * scale;
  view.x = within(view.x, clientWidth / 2 / width);
  view.y = within(view.y, clientHeight / 2 / height);
  for (const one of Object.values(pictures)) {
    one.style.width = `${width}px`;
    one.style.height = `${height}px`;
    one.style.transform = `translate(${clientWidth / 2 - view.x * width}px, ${clientHeight / 2 - view.y * height}px)`;
    one.classList.toggle("pixels", scale * devicePixelRatio >= PIXELS_FROM);
  }
  for (const pane of Object.values(panes)) pane.classList.toggle("zoomed", view.zoom > 1);
}

// The middle of the view, 0 to 1, kept so that half a view, `half`, lies inside the picture; centred if it is larger.
function within(middle, half) {
  return half >= 0.5 ? 0.5 : Math.min(Math.max(middle, half), 1 - half);
}

// Zoom so that the picture's point under `at` stays where it is.
function zoomTo(zoom, at) {
  if (!ready) return;
  const { clientWidth, clientHeight } = panes.left;
  const most = Math.max(2, MOST_SCALE / devicePixelRatio / fit());
  const before = fit() * view.zoom;
  const middle = at ?? { x: clientWidth / 2, y: clientHeight / 2 };
  const x = view.x + (middle.x - clientWidth / 2) / (pictures.left.naturalWidth * before);
  const y = view.y + (middle.y - clientHeight / 2) / (pictures.left.naturalHeight * before);
  view.zoom = Math.min(Math.max(zoom, 1), most);
  const after = fit() * view.zoom;
  view.x = x - (middle.x - clientWidth / 2) / (pictures.left.naturalWidth * after);
  view.y = y - (middle.y - clientHeight / 2) / (pictures.left.naturalHeight * after);
  place();
}

// One step in: twice the fitted size, or as many device pixels as the picture has if that is more; and back.
function toggleZoom(at) {
  if (!ready) return;
  zoomTo(view.zoom > 1 ? 1 : Math.max(2, 1 / devicePixelRatio / fit()), at);
}

function reference(shown) {
  const there = shown && ready && pictures.reference_left !== undefined;
  for (const side of ["left", "right"]) {
    if (pictures[`reference_${side}`]) pictures[`reference_${side}`].hidden = !there;
    if (pictures[side]) pictures[side].hidden = there;
  }
  element("show-reference").classList.toggle("pressed", there);
}

// ---------------------------------------------------------------- keys, mouse, touch

const KEYS = {
  ArrowLeft: () => answer("left"),
  ArrowRight: () => answer("right"),
  ArrowDown: () => answer("tie"),
  " ": () => answer("tie"),
  u: undo,
  z: () => toggleZoom(pointer),
  r: () => reference(true),
};

addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (element("welcome").open || event.ctrlKey || event.metaKey || event.altKey || !(key in KEYS)) return;
  event.preventDefault();
  if (!event.repeat) KEYS[key](); // a key that is held answers once
});
addEventListener("keyup", (event) => {
  if (event.key.toLowerCase() === "r") reference(false);
});
addEventListener("blur", () => reference(false));
addEventListener("resize", place);

function onClick(id, action) {
  element(id).addEventListener("click", () => {
    element(id).blur(); // or the space key would press it again
    action();
  });
}
onClick("answer-left", () => answer("left"));
onClick("answer-tie", () => answer("tie"));
onClick("answer-right", () => answer("right"));
onClick("undo", undo);
onClick("zoom", () => toggleZoom(null));
onClick("other-rater", welcome);
element("show-reference").addEventListener("pointerdown", () => reference(true));
for (const end of ["pointerup", "pointerleave", "pointercancel"]) {
  element("show-reference").addEventListener(end, () => reference(false));
}

for (const pane of Object.values(panes)) {
  const inside = (event) => {
    const { left, top } = pane.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  pane.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomTo(view.zoom * 2 ** (-event.deltaY * ZOOM_PER_WHEEL), inside(event));
  }, { passive: false });
  pane.addEventListener("dblclick", (event) => toggleZoom(inside(event)));
  pane.addEventListener("pointerdown", (event) => {
    pane.setPointerCapture(event.pointerId);
    held.set(event.pointerId, inside(event));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    pane.addEventListener(end, (event) => held.delete(event.pointerId));
  }
  pane.addEventListener("pointerleave", () => { pointer = null; });
  pane.addEventListener("pointermove", (event) => {
    pointer = inside(event);
    const before = held.get(event.pointerId);
    if (!ready || !before) return;
    held.set(event.pointerId, pointer);
    const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
    if (other) pinch(before, pointer, other);
    else drag(before, pointer);
  });
}

function drag(from, to) {
  const scale = fit() * view.zoom;
  view.x -= (to.x - from.x) / (pictures.left.naturalWidth * scale);
  view.y -= (to.y - from.y) / (pictures.left.naturalHeight * scale);
  place();
}

function pinch(from, to, other) {
  const apart = (point) => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
  zoomTo(view.zoom * apart(to) / apart(from), { x: (to.x + other.x) / 2, y: (to.y + other.y) / 2 });
}

// ---------------------------------------------------------------- who is there

function remembered(name) {
  try {
    if (name !== undefined) localStorage.setItem("rater", name);
    return localStorage.getItem("rater");
  } catch {
    return null; // a private window may keep nothing
  }
}

function welcome() {
  element("name-trouble").textContent = "";
  element("welcome").showModal();
}

async function begin(name) {
  const first = await post("begin", { rater: name });
  remembered(first.rater);
  if (element("welcome").open) element("welcome").close();
  await show(first);
}

element("welcome").addEventListener("cancel", (event) => { if (state === null) event.preventDefault(); });
element("welcome").querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await begin(element("name").value);
  } catch (error) {
    element("name-trouble").textContent = error.message;
  }
});

buttons();
if (remembered()) begin(remembered()).catch(welcome);
else welcome();
