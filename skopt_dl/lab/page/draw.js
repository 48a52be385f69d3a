// Drawing: each function draws one canvas from a state that it does not change.

const BANDS = 18;
const N_COLOURS = 7;
const FONT = "12px system-ui, sans-serif";

function theme() {
  const style = getComputedStyle(document.documentElement);
  const names = ["text", "quiet", "line", "card", "map-low", "map-high", "map-line", "halo"];
  const found = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  found.colours = Array.from({ length: N_COLOURS }, (_, i) => style.getPropertyValue(`--c${i}`).trim());
  return found;
}

// An optimizer is told by colour, dashes and marker, so that colour is never alone.
function lookOf(index) {
  return {
    colour: theme().colours[index % N_COLOURS],
    dash: index < N_COLOURS ? [] : [7, 4],
    marker: index % 5,
  };
}

function number(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "−").replace("e+", "e");
}

// A canvas in the sizes of the screen's own pixels; coordinates stay those of the style.
function blank(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  context.lineJoin = context.lineCap = "round";
  return { context, width, height };
}

// The map

const toMap = (f, width, height) => (x, y) => [
  ((x - f.viewLower[0]) / (f.viewUpper[0] - f.viewLower[0])) * width,
  (1 - (y - f.viewLower[1]) / (f.viewUpper[1] - f.viewLower[1])) * height,
];

// Pixels for one unit of each variable; the second grows upwards.
const scaleOf = (f, width, height) => [width / (f.viewUpper[0] - f.viewLower[0]), -height / (f.viewUpper[1] - f.viewLower[1])];

const fromMap = (f, width, height) => (px, py) => [
  f.viewLower[0] + (px / width) * (f.viewUpper[0] - f.viewLower[0]),
  f.viewLower[1] + (1 - py / height) * (f.viewUpper[1] - f.viewLower[1]),
];

const ground = { key: "", canvas: null };

function drawGround(heights, f, colours, width, height) {
  const key = [f.name, width, height, colours["map-low"]].join();
  if (ground.key !== key) {
    ground.canvas = document.createElement("canvas");
    [ground.canvas.width, ground.canvas.height] = [width, height];
    const context = ground.canvas.getContext("2d");
    context.putImageData(bands(heights, colours, width, height), 0, 0);
    contours(context, heights, colours, width, height);
    ground.key = key;
  }
  return ground.canvas;
}

function bands(heights, colours, width, height) {
  const n = Math.sqrt(heights.length);
  const ends = [colours["map-low"], colours["map-high"]].map((hex) =>
    [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  const palette = Array.from({ length: BANDS }, (_, band) =>
    ends[0].map((low, i) => low + ((ends[1][i] - low) * band) / (BANDS - 1)));
  const image = new ImageData(width, height);
  for (let py = 0, at = 0; py < height; py++) {
    const gy = (1 - (py + 0.5) / height) * (n - 1);
    const row = Math.min(n - 2, Math.floor(gy));
    const v = gy - row;
    for (let px = 0; px < width; px++, at += 4) {
      const gx = ((px + 0.5) / width) * (n - 1);
      const column = Math.min(n - 2, Math.floor(gx));
      const u = gx - column;
      const i = row * n + column;
      const lower = heights[i] + u * (heights[i + 1] - heights[i]);
      const upper = heights[i + n] + u * (heights[i + n + 1] - heights[i + n]);
      const band = Math.floor(((lower + v * (upper - lower)) / 65536) * BANDS);
      image.data.set(palette[band], at);
      image.data[at + 3] = 255;
    }
  }
  return image;
}

// Marching squares: in each mesh, a line from edge to edge for every level that crosses it.
function contours(context, heights, colours, width, height) {
  const n = Math.sqrt(heights.length);
  context.strokeStyle = colours["map-line"];
  context.lineWidth = Math.max(1, width / 900);
  context.beginPath();
  const place = (x, y) => [(x / (n - 1)) * width, (1 - y / (n - 1)) * height];
  for (let y = 0; y < n - 1; y++) {
    for (let x = 0; x < n - 1; x++) {
      const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
      const at = corners.map(([cx, cy]) => (heights[cy * n + cx] / 65536) * BANDS);
      for (let level = Math.floor(Math.min(...at)) + 1; level <= Math.max(...at); level++) {
        const ends = [];
        for (let i = 0; i < 4; i++) {
          const j = (i + 1) % 4;
          if (at[i] < level !== at[j] < level) {
            const t = (level - at[i]) / (at[j] - at[i]);
            ends.push(place(...corners[i].map((c, axis) => c + t * (corners[j][axis] - c))));
          }
        }
        for (let i = 0; i + 1 < ends.length; i += 2) {
          context.moveTo(...ends[i]);
          context.lineTo(...ends[i + 1]);
        }
      }
    }
  }
  context.stroke();
}

function drawMap(canvas, state) {
  const { f, traces, start, step, heights, inside, index } = state;
  const colours = theme();
  const { context, width, height } = blank(canvas);
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(drawGround(heights, f, colours, canvas.width, canvas.height), 0, 0);
  context.restore();
  const place = toMap(f, width, height);
  if (about.starts) drawLattice(context, f, place, colours);
  for (const [x, y] of f.minima) {
    star(context, ...place(x, y), colours);
  }
  const [sx, sy] = place(...start);
  context.lineWidth = 2;
  for (const [radius, colour] of [[9, colours.halo], [7, colours.text]]) {
    circle(context, sx, sy, radius);
    context.strokeStyle = colour;
    context.stroke();
  }
  const shown = about.optimizers.filter(({ name }) => traces[name]);
  // The selected one last, on top.
  shown.sort((a, b) => (a.name === state.selected) - (b.name === state.selected));
  for (const optimizer of shown) {
    const trace = traces[optimizer.name];
    const look = lookOf(about.optimizers.indexOf(optimizer));
    path(context, trace, place, trace.n, { ...look, width: 1, alpha: 0.35 });
    path(context, trace, place, step, { ...look, colour: colours.halo, dash: [], width: 5, alpha: 0.8 });
    path(context, trace, place, step, { ...look, width: optimizer.name === state.selected ? 3 : 2 });
  }
  const followed = traces[state.selected];
  if (inside && step < followed.n) {
    const at = place(followed.points[0][step], followed.points[1][step]);
    const scale = scaleOf(f, width, height);
    const arrows = [[inside.gradient, { colour: colours.quiet, dash: [3, 4], width: 2 }], [inside.direction, { ...lookOf(index), dash: [], width: 3 }]];
    for (const [vector, style] of arrows) {
      const size = Math.hypot(vector[0] * scale[0], vector[1] * scale[1]);
      if (!size) continue;
      const to = vector.map((each, axis) => (-each * scale[axis] * 48) / size);
      arrow(context, ...at, ...to, { colour: colours.halo, dash: [], width: style.width + 3 });
      arrow(context, ...at, ...to, style);
    }
  }
  for (const optimizer of shown) {
    const at = Math.min(step, traces[optimizer.name].n);
    const [px, py] = place(traces[optimizer.name].points[0][at], traces[optimizer.name].points[1][at]);
    const look = lookOf(about.optimizers.indexOf(optimizer));
    marker(context, look.marker, px, py, optimizer.name === state.selected ? 7 : 5.5, look.colour, colours.halo);
  }
}

function drawLattice(context, f, place, colours) {
  context.fillStyle = colours.quiet;
  context.globalAlpha = 0.55;
  const line = (axis, i) => f.lower[axis] + ((f.upper[axis] - f.lower[axis]) * (i + 0.5)) / about.starts;
  for (let i = 0; i < about.starts; i++) {
    for (let j = 0; j < about.starts; j++) {
      circle(context, ...place(line(0, i), line(1, j)), 1.6);
      context.fill();
    }
  }
  context.globalAlpha = 1;
}

function path(context, trace, place, step, { colour, dash, width, alpha = 1 }) {
  context.beginPath();
  for (let i = 0; i <= Math.min(step, trace.n); i++) {
    const [px, py] = place(trace.points[0][i], trace.points[1][i]);
    if (i) context.lineTo(px, py);
    else context.moveTo(px, py);
  }
  context.setLineDash(dash);
  context.globalAlpha = alpha;
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function circle(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}

function polygon(context, x, y, corners, radius, turn = 0) {
  context.beginPath();
  for (let i = 0; i < corners; i++) {
    const angle = turn + (i / corners) * 2 * Math.PI - Math.PI / 2;
    context.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  }
  context.closePath();
}

function marker(context, kind, x, y, size, colour, halo) {
  if (kind === 0) circle(context, x, y, size);
  else if (kind === 1) polygon(context, x, y, 4, size * 1.25, Math.PI / 4);
  else if (kind === 2) polygon(context, x, y, 3, size * 1.35);
  else if (kind === 3) polygon(context, x, y, 4, size * 1.3);
  else polygon(context, x, y, 3, size * 1.35, Math.PI);
  context.fillStyle = colour;
  context.strokeStyle = halo;
  context.lineWidth = 2;
  context.stroke();
  context.fill();
}

function star(context, x, y, colours) {
  context.beginPath();
  for (let i = 0; i < 10; i++) {
    const [angle, radius] = [(i / 10) * 2 * Math.PI - Math.PI / 2, i % 2 ? 3.2 : 8];
    context.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  }
  context.closePath();
  context.lineWidth = 3;
  context.strokeStyle = colours.halo;
  context.stroke();
  context.fillStyle = colours.text;
  context.fill();
}

// Curves

// A frame with ticks; returns how to place a step and a height in it.
function frame(context, width, height, colours, { steps, low, high, label }) {
  const [left, right, top, bottom] = [46, width - 8, 8, height - 22];
  const px = (step) => left + (step / steps) * (right - left);
  const py = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
  context.strokeStyle = colours.line;
  context.fillStyle = colours.quiet;
  context.lineWidth = 1;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const tick of ticksOf(low, high)) {
    context.beginPath();
    context.moveTo(left, py(tick));
    context.lineTo(right, py(tick));
    context.stroke();
    context.fillText(label(tick), left - 5, py(tick));
  }
  context.textBaseline = "alphabetic";
  for (const [step, align] of [[0, "left"], [steps / 2, "center"], [steps, "right"]]) {
    context.textAlign = align;
    context.fillText(step ? String(step) : "step 0", px(step), height - 6);
  }
  return { px, py, left, right, top, bottom };
}

// Whole decades, or in a short range 2 and 5 of each too.
function ticksOf(low, high) {
  const stride = Math.max(1, Math.ceil((high - low) / 6));
  const parts = high - low < 1.7 ? [0, Math.log10(2), Math.log10(5)] : [0];
  const found = [];
  for (let decade = Math.floor(low); decade <= high; decade++) {
    if (decade % stride === 0) found.push(...parts.map((part) => decade + part));
  }
  return found.filter((tick) => tick >= low && tick <= high);
}

function cursor(context, at, { top, bottom }, colours) {
  context.strokeStyle = colours.text;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(at, top);
  context.lineTo(at, bottom);
  context.stroke();
}

function line(context, heights, { px, py, left, right, top, bottom }, { colour, dash, width }) {
  context.save();
  context.beginPath();
  context.rect(left, top - 3, right - left + 3, bottom - top + 6);
  context.clip();
  context.beginPath();
  heights.forEach((value, step) => context.lineTo(px(step), py(value)));
  context.setLineDash(dash);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
  context.restore();
}

const power = (tick) => number(Number((10 ** tick).toPrecision(1))).replace(".0e", "e");

// Values on the scale that they are drawn in: decades above the smallest, or of both signs.
function heightOf(f) {
  if (f.minimum === null) return (value) => Math.asinh(value) / Math.LN10;
  return (value) => Math.log10(Math.max(value - f.minimum, 1e-12));
}

function drawCurve(canvas, { f, traces, step, selected }) {
  const colours = theme();
  const { context, width, height } = blank(canvas);
  const heightAt = heightOf(f);
  const curves = about.optimizers.flatMap((optimizer, index) => {
    const trace = traces[optimizer.name];
    if (!trace) return [];
    const heights = Array.from(trace.values.subarray(0, trace.n + 1), heightAt);
    return [{ name: optimizer.name, index, heights }];
  });
  const begun = curves.map(({ heights }) => heights[0]);
  const all = curves.flatMap(({ heights }) => heights).filter(Number.isFinite);
  // What diverges is cut two decades above the start.
  const ceiling = Math.max(...begun, -Infinity) + 2;
  const floor = f.minimum === null ? Math.min(...begun) - 2 : -8;
  let low = Math.max(floor, Math.min(...all));
  let high = Math.min(ceiling, Math.max(...all));
  if (!(high - low >= 1)) [low, high] = [Number.isFinite(low) ? low - 1 : -1, Number.isFinite(low) ? low + 1 : 1];
  const signed = (tick) => (tick === 0 ? "0" : `${tick < 0 ? "−" : ""}${power(Math.abs(tick))}`);
  const label = f.minimum === null ? signed : power;
  const box = frame(context, width, height, colours, { steps: about.steps, low, high, label });
  for (const { name, index, heights } of curves) {
    line(context, heights, box, { ...lookOf(index), width: name === selected ? 3 : 1.75 });
  }
  cursor(context, box.px(step), box, colours);
  return box;
}

// The two slots

function arrow(context, x, y, dx, dy, { colour, dash, width }) {
  const size = Math.hypot(dx, dy);
  const [ux, uy] = [dx / size, dy / size];
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + dx - 8 * ux, y + dy - 8 * uy);
  context.stroke();
  context.setLineDash([]);
  context.beginPath();
  context.moveTo(x + dx, y + dy);
  context.lineTo(x + dx - 11 * ux + 5 * uy, y + dy - 11 * uy - 5 * ux);
  context.lineTo(x + dx - 11 * ux - 5 * uy, y + dy - 11 * uy + 5 * ux);
  context.fill();
}

// Three arrows, all of one length: how much longer one is than another is in the table.
function drawCompass(canvas, { f, inside, index }, map) {
  const colours = theme();
  const { context, width, height } = blank(canvas);
  const radius = Math.min(height / 2 - 6, width / 4);
  const [x, y] = [radius + 4, height / 2];
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  circle(context, x, y, radius);
  context.stroke();
  const look = lookOf(index);
  const arrows = [
    ["−gradient", inside?.gradient.map((each) => -each), { colour: colours.quiet, dash: [3, 4], width: 2 }],
    ["−direction", inside?.direction.map((each) => -each), { colour: look.colour, dash: [], width: 3 }],
    ["change", inside?.change, { colour: colours.text, dash: [], width: 1.25 }],
  ];
  // As on the map, whose axes may have different scales.
  const scale = scaleOf(f, map.clientWidth, map.clientHeight);
  context.textAlign = "left";
  context.textBaseline = "middle";
  arrows.forEach(([name, vector, style], i) => {
    const at = y + (i - 1) * 24;
    context.fillStyle = colours.text;
    context.fillText(name, x + radius + 46, at);
    arrow(context, x + radius + 12, at, 28, 0, style);
  });
  for (const [, vector, style] of [arrows[1], arrows[0], arrows[2]]) {
    const size = vector && Math.hypot(vector[0] * scale[0], vector[1] * scale[1]);
    if (size) arrow(context, x, y, (vector[0] * scale[0] * radius) / size, (vector[1] * scale[1] * radius) / size, style);
  }
}

function drawRates(canvas, { trace, step, index }) {
  const colours = theme();
  const { context, width, height } = blank(canvas);
  const look = lookOf(index);
  const lines = (trace?.rates ?? []).map((rates) =>
    Array.from(rates.subarray(0, trace.n), (rate) => Math.log10(Math.abs(rate))));
  const all = lines.flat().filter(Number.isFinite);
  const [min, max] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 0];
  const room = Math.max(0.15, (1.2 - (max - min)) / 2);
  const box = frame(context, width, height, colours, { steps: about.steps, low: min - room, high: max + room, label: power });
  lines.forEach((heights, axis) => {
    line(context, heights, box, { colour: look.colour, dash: axis ? [5, 4] : [], width: axis ? 2 : 3 });
  });
  cursor(context, box.px(step), box, colours);
}

function drawSwatch(canvas, index) {
  const { context, width, height } = blank(canvas);
  const look = lookOf(index);
  context.beginPath();
  context.moveTo(1, height / 2);
  context.lineTo(width - 1, height / 2);
  context.setLineDash(look.dash);
  context.strokeStyle = look.colour;
  context.lineWidth = 2.5;
  context.stroke();
  context.setLineDash([]);
  marker(context, look.marker, width / 2, height / 2, 4.5, look.colour, theme().card);
}
