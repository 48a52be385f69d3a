// The state, the controls that change it, and what follows from a change.

const byId = (id) => document.getElementById(id);
const source = about.served ? new ServedTraces() : new StoredTraces();
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let secondsToPlay = 9;

const nearest = (values, wanted) =>
  values.reduce((best, value, i) => (Math.abs(value - wanted) < Math.abs(values[best] - wanted) ? i : best), 0);

const state = {
  f: about.functions[0],
  drawn: null,
  heights: null,
  asked: about.functions[0].start,
  start: source.snap(about.functions[0], about.functions[0].start),
  rate: nearest(about.rates, 0.03),
  momentum: nearest(about.momenta, 0.9),
  best: false,
  shown: new Set(about.optimizers.slice(0, about.nShown).map(({ name }) => name)),
  selected: about.optimizers[about.nShown - 1].name,
  traces: {},
  // The function and the start of the traces.
  of: null,
  step: about.steps,
  playing: false,
  waiting: false,
};

// Traces for the present setting. While some are being fetched, only the last change waits.

let fetching = null;
let changed = false;

const isOf = (f, start) => f === state.f && start.every((value, axis) => value === state.start[axis]);

function refresh() {
  changed = true;
  byId("shows").classList.remove("error");
  // Those of another function or start are never seen under this one; of another rate, dimmed.
  if (state.of && !isOf(state.of.f, state.of.start)) Object.assign(state, { traces: {}, of: null });
  showGround();
  setWaiting(true);
  announce(() => "The runs are being made.");
  fetching ||= fetchAll().finally(() => {
    fetching = null;
    setWaiting(false);
    draw();
  });
  return fetching;
}

async function fetchAll() {
  while (changed) {
    changed = false;
    const { f, start } = state;
    try {
      const traces = await source.traces(f, start, state);
      if (!isOf(f, start)) continue;
      Object.assign(state, { traces, of: { f, start } });
      draw();
      announce(tellOutcomes);
    } catch (error) {
      if (changed) continue;
      Object.assign(state, { traces: {}, of: null });
      byId("shows").classList.add("error");
      byId("shows").textContent = `This could not be shown: ${error.message}`;
      announce(() => byId("shows").textContent);
    }
  }
}

function setWaiting(waiting) {
  state.waiting = waiting;
  document.querySelector("main").classList.toggle("waiting", waiting);
  document.querySelector("main").setAttribute("aria-busy", waiting);
}

// The map of a function is here before its runs are.
async function showGround() {
  const { f } = state;
  const heights = await heightsOf(f);
  if (f === state.f) Object.assign(state, { drawn: f, heights });
  draw();
}

const maps = new Map();

async function heightsOf(f) {
  if (!maps.has(f.name)) maps.set(f.name, inflate(f.map));
  return new Uint16Array((await maps.get(f.name)).buffer);
}

// Drawing, at most once for each frame of the screen

let due = 0;
let curveBox = null;

function draw() {
  due ||= requestAnimationFrame(() => {
    due = 0;
    if (state.drawn === state.f) drawNow();
  });
}

function drawNow() {
  const trace = state.traces[state.selected];
  const index = about.optimizers.findIndex(({ name }) => name === state.selected);
  const inside = trace && insideOf(trace, state.step);
  const f = state.f;
  drawMap(byId("map"), { ...state, inside, index });
  curveBox = drawCurve(byId("curve"), state);
  drawCompass(byId("compass"), { f, inside, index }, byId("map"));
  drawRates(byId("rates"), { trace, step: state.step, index });
  for (const [i, row] of rows.entries()) tellRow(row, i);
  tellStep();
  tellInside(trace, inside);
  tellSetting();
}

// The update after `step`: the last one has none after it.
function insideOf(trace, step) {
  if (trace.n === 0) return null;
  const at = Math.min(step, trace.n - 1);
  const pair = (arrays) => [arrays[0][at], arrays[1][at]];
  const [direction, rate] = [pair(trace.directions), pair(trace.rates)];
  return { at, gradient: pair(trace.gradients), direction, rate, change: direction.map((each, axis) => -rate[axis] * each) };
}

// Words

const place = ([x, y]) => `(${number(x)}, ${number(y)})`;

const steps = (count) => `${count} ${count === 1 ? "step" : "steps"}`;

// What the two sliders have not said already.
function settingOf(optimizer, trace) {
  const parts = [];
  if (trace.rate === null) parts.push("no rate to set");
  else if (state.best) parts.push(`rate ${number(trace.rate)}`);
  if (optimizer.momentum) parts.push(`${optimizer.momentum} ${number(trace.momentum)}`);
  return parts;
}

function outcomeOf(trace) {
  if (trace.outcome === "diverged") return trace.n < about.steps ? `left after ${steps(trace.n)}` : "diverged";
  if (Number.isFinite(trace.arrived)) {
    const first = `first within ${number(about.tol)} after ${steps(trace.arrived)}`;
    return trace.outcome === "reached" ? `arrived: ${first}` : `${first}, left again`;
  }
  if (trace.n < about.steps) return `ended after ${steps(trace.n)}`;
  return trace.outcome === "moving" ? "still moving" : trace.outcome;
}

function tellRow({ row, note, words, check, swatch, value, look }, i) {
  const optimizer = about.optimizers[i];
  const trace = state.traces[optimizer.name];
  const shown = state.shown.has(optimizer.name);
  row.classList.toggle("off", !shown);
  check.checked = shown;
  look.checked = optimizer.name === state.selected;
  note.hidden = !(shown && trace);
  if (shown && trace) words.textContent = [...settingOf(optimizer, trace), outcomeOf(trace)].join(", ");
  value.textContent = shown && trace ? number(trace.values[Math.min(state.step, trace.n)]) : "";
  drawSwatch(swatch, i);
}

function tellStep() {
  byId("step").value = Math.round(state.step);
  byId("step-shown").textContent = `${Math.round(state.step)} of ${about.steps}`;
}

function tellSetting() {
  const rate = about.rates[state.rate];
  const momentum = about.momenta[state.momentum];
  byId("rate-shown").textContent = state.best ? "each its own" : number(rate);
  byId("rate").setAttribute("aria-valuetext", number(rate));
  byId("momentum-shown").textContent = number(momentum);
  byId("momentum").setAttribute("aria-valuetext", number(momentum));
  const moved = state.start.some((value, axis) => Math.abs(value - state.asked[axis]) > 1e-9);
  if (byId("shows").classList.contains("error")) return;
  byId("shows").textContent =
    `${state.waiting ? "The runs are being made. " : ""}Start ${place(state.start)}` +
    (moved ? `, the nearest one stored to ${place(state.asked)}` : "") +
    `; ${state.best ? "the best rate for each" : `learning rate ${number(rate)}`}; momentum ${number(momentum)}.`;
}

function tellInside(trace, inside) {
  byId("slots-about").textContent = inside
    ? `${state.selected}, step ${inside.at + 1}: change = −rate × direction.` + (trace.followsRule ? "" :
      " As it is set, it is no direction over a scale: the gradient stands for the direction, and the " +
      "rate says what the change is of it; the plot leaves out its sign.")
    : state.waiting ? "The runs are being made." : `Show ${state.selected} to look inside its steps.`;
  for (const [name, cells] of Object.entries(numberCells)) {
    cells.forEach((cell, axis) => (cell.textContent = inside ? number(inside[name][axis]) : ""));
  }
}

let announcing = 0;

// What screen readers say, once a setting has come to rest.
function announce(words) {
  clearTimeout(announcing);
  announcing = setTimeout(() => (byId("says").textContent = words()), 400);
}

function tellOutcomes() {
  const outcomes = Object.entries(state.traces).map(([name, trace]) => `${name} ${outcomeOf(trace)}`);
  byId("map").setAttribute("aria-label", `Map of ${state.f.title}, start ${place(state.start)}`);
  byId("curve").setAttribute("aria-label", `Loss curves: ${outcomes.join("; ")}`);
  return `${byId("shows").textContent} ${outcomes.join("; ")}.`;
}

// Playing

function setStep(step) {
  state.step = Math.min(about.steps, Math.max(0, step));
  draw();
}

function setPlaying(playing) {
  state.playing = playing;
  byId("play").textContent = playing ? "Pause" : "Play";
  if (!playing) return;
  if (state.step >= about.steps) state.step = 0;
  // The first steps, which differ most, take longest.
  const time = (step) => Math.sqrt(step / about.steps) * secondsToPlay;
  const begun = performance.now() / 1000 - time(state.step);
  const playId = ++plays;
  const advance = () => {
    if (!state.playing || playId !== plays) return;
    const share = (performance.now() / 1000 - begun) / secondsToPlay;
    setStep(Math.round(Math.min(1, share) ** 2 * about.steps));
    if (share >= 1) setPlaying(false);
    else if (calm.matches) setTimeout(advance, 1000);
    else requestAnimationFrame(advance);
  };
  advance();
}

let plays = 0;

function watch() {
  if (calm.matches) setStep(about.steps);
  else {
    state.step = 0;
    setPlaying(true);
  }
}

// Controls

function setStart(point) {
  state.asked = inDomain(state.f, point);
  state.start = source.snap(state.f, point);
  return refresh();
}

function setFunction(name) {
  state.f = about.functions.find((each) => each.name === name);
  // Where the map's axes have one scale, a gradient is at right angles to the contours.
  const [w, h] = [0, 1].map((axis) => state.f.viewUpper[axis] - state.f.viewLower[axis]);
  byId("map").style.aspectRatio = Math.min(1.8, Math.max(0.8, w / h));
  byId("function").value = name;
  byId("function-about").textContent = state.f.about;
  setPlaying(false);
  state.step = about.steps;
  return setStart(state.f.start);
}

function pointOf(event) {
  const map = byId("map");
  const box = map.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left - map.clientLeft, event.clientY - box.top - map.clientTop];
  return fromMap(state.f, map.clientWidth, map.clientHeight)(x, y);
}

function listenToMap() {
  const map = byId("map");
  let dragging = false;
  map.addEventListener("pointerdown", (event) => {
    // A finger may be about to scroll; it chooses with the click that a tap ends in.
    if (event.pointerType === "touch" || event.button !== 0) return;
    dragging = true;
    map.setPointerCapture(event.pointerId);
    setPlaying(false);
    setStep(about.steps);
    setStart(pointOf(event));
  });
  map.addEventListener("pointermove", (event) => {
    if (dragging) setStart(pointOf(event));
  });
  for (const end of ["pointerup", "pointercancel"]) map.addEventListener(end, () => (dragging = false));
  map.addEventListener("click", async (event) => {
    await setStart(pointOf(event));
    watch();
  });
  map.addEventListener("keydown", (event) => {
    const towards = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowDown: [1, -1], ArrowUp: [1, 1] }[event.key];
    if (towards) {
      const [axis, sign] = towards;
      const point = [...state.start];
      point[axis] += sign * source.mesh(state.f, axis) * (event.shiftKey ? source.farther : 1);
      setStart(point);
    } else if (event.key === " " || event.key === "Enter") {
      setPlaying(!state.playing);
    } else return;
    event.preventDefault();
  });
}

function listenToCurve() {
  const curve = byId("curve");
  const scrub = (event) => {
    if (!curveBox || !(event.buttons & 1)) return;
    const x = event.clientX - curve.getBoundingClientRect().left;
    setPlaying(false);
    setStep(Math.round(((x - curveBox.left) / (curveBox.right - curveBox.left)) * about.steps));
  };
  curve.addEventListener("pointerdown", scrub);
  curve.addEventListener("pointermove", scrub);
}

// Arrow keys and the space bar, wherever no control has them for itself.
function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.target !== document.body || event.ctrlKey || event.altKey || event.metaKey) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) {
      setPlaying(false);
      setStep(Math.round(state.step) + by);
    } else if (event.key === " ") {
      setPlaying(!state.playing);
    } else return;
    event.preventDefault();
  });
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const rows = about.optimizers.map((optimizer) => {
  const check = element("input", { type: "checkbox", "data-show": optimizer.name });
  const look = element("input", { type: "radio", name: "look", value: optimizer.name, "aria-label": `Look inside ${optimizer.name}` });
  const swatch = element("canvas", { class: "swatch", "aria-hidden": "true" });
  const words = element("td", { colspan: 3 });
  const note = element("tr", { class: "note" }, words);
  const value = element("td", { class: "number" });
  const row = element("tr", { title: optimizer.about },
    element("td", {}, element("label", { class: "check" }, check, swatch, optimizer.name)),
    value,
    element("td", { class: "number" }, element("label", { class: "look" }, look)));
  check.addEventListener("change", () => {
    if (check.checked) state.shown.add(optimizer.name);
    else state.shown.delete(optimizer.name);
    refresh();
  });
  look.addEventListener("change", () => {
    state.selected = optimizer.name;
    state.shown.add(optimizer.name);
    refresh();
  });
  return { row, note, words, check, swatch, value, look };
});

const numberCells = Object.fromEntries(["gradient", "direction", "rate", "change"].map((name) => {
  const cells = [element("td"), element("td")];
  byId("numbers").append(element("tr", {}, element("th", { scope: "row" }, name), ...cells));
  return [name, cells];
}));

function begin() {
  byId("optimizers").append(...rows.flatMap(({ row, note }) => [row, note]));
  byId("function").append(...about.functions.map((f) => element("option", { value: f.name }, f.title)));
  byId("function").addEventListener("change", (event) => setFunction(event.target.value));
  byId("step").max = about.steps;
  byId("rate").max = about.rates.length - 1;
  byId("momentum").max = about.momenta.length - 1;
  for (const name of ["rate", "momentum"]) {
    byId(name).value = state[name];
    byId(name).addEventListener("input", (event) => {
      state[name] = Number(event.target.value);
      refresh();
    });
  }
  byId("best").addEventListener("change", (event) => {
    state.best = event.target.checked;
    byId("rate").disabled = state.best;
    refresh();
  });
  byId("step").addEventListener("input", (event) => {
    setPlaying(false);
    setStep(Number(event.target.value));
  });
  byId("play").addEventListener("click", () => setPlaying(!state.playing));
  byId("map-legend").textContent = (about.starts ? "Dots are the starting points that are stored; stars are minima." : "Stars are minima.");
  byId("tolerance").textContent = `Arrived: at the end within ${number(about.tol)} of the smallest value.`;
  byId("made").textContent = about.made;
  const absent = Object.entries(about.absent).map(([name, why]) => `${name} (${why})`);
  if (absent.length) byId("absent").textContent = `Not here: ${absent.join("; ")}.`;
  listenToMap();
  listenToCurve();
  listenToKeys();
  new ResizeObserver(draw).observe(byId("map"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return setFunction(state.f.name);
}

begin();
