"use strict";
// Where traces come from: the page itself, or the server that sent it. Nothing is optimized here.

const textOf = (name) => document.getElementById(name).textContent;
const about = JSON.parse(textOf("about"));

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function inflate(base64) {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// A trace is one run: n steps, after which it stays where it is. Vectors are pairs [x, y] of arrays.
// {n, outcome, arrived, followsRule, rate, momentum, points, values, gradients, directions, rates}

const inDomain = (f, point) =>
  point.map((value, axis) => Math.min(f.upper[axis], Math.max(f.lower[axis], value)));

// The runs that the page holds, of every combination on its grid; packing.py wrote them.
class StoredTraces {
  farther = 2;
  chunks = new Map();

  // The nearest starting point that was run.
  snap(f, point) {
    const n = about.starts;
    return point.map((value, axis) => {
      const width = f.upper[axis] - f.lower[axis];
      const line = Math.floor(((value - f.lower[axis]) / width) * n);
      return f.lower[axis] + (width * (Math.min(n - 1, Math.max(0, line)) + 0.5)) / n;
    });
  }

  // How far an arrow key moves the starting point.
  mesh(f, axis) {
    return (f.upper[axis] - f.lower[axis]) / about.starts;
  }

  async traces(f, start, setting) {
    const found = {};
    for (const optimizer of about.optimizers) {
      if (setting.shown.has(optimizer.name)) {
        found[optimizer.name] = await this.trace(f, optimizer, start, setting);
      }
    }
    return found;
  }

  async trace(f, optimizer, start, setting) {
    const nStarts = about.starts ** 2;
    const momenta = optimizer.momentum ? about.momenta : [null];
    const rates = optimizer.rate ? about.rates : [null];
    const name = `${f.name}-${optimizer.name}`;
    if (!this.chunks.has(name)) {
      this.chunks.set(name, inflate(textOf(name)));
    }
    const chunk = new Chunk(await this.chunks.get(name), momenta.length * rates.length * nStarts);
    const line = (axis) =>
      Math.floor(((start[axis] - f.lower[axis]) / (f.upper[axis] - f.lower[axis])) * about.starts);
    const momentum = optimizer.momentum ? setting.momentum : 0;
    const row = (rate) => (momentum * rates.length + rate) * nStarts + line(1) * about.starts + line(0);
    let rate = optimizer.rate ? setting.rate : 0;
    if (setting.best) rate = chunk.read(row(0)).best;
    const { columns, outcome, ...head } = chunk.read(row(rate));
    return {
      ...head,
      ...unpack(f, columns, rates[rate] ?? 1),
      outcome: about.packing.outcomes[outcome],
      rate: rates[rate],
      momentum: momenta[momentum],
    };
  }
}

// Columns of 16-bit numbers, one after the other, each with a row for every run.
class Chunk {
  constructor(bytes, nRows) {
    this.bytes = bytes;
    this.nRows = nRows;
  }

  read(row) {
    const steps = about.steps;
    let offset = 0;
    const column = (channels, length) => {
      const plane = this.nRows * channels * length;
      const found = [];
      for (let channel = 0; channel < channels; channel++) {
        const numbers = new Int32Array(length);
        let place = offset + (row * channels + channel) * length;
        for (let i = 0, sum = 0; i < length; i++, place++) {
          const coded = this.bytes[place] | (this.bytes[place + plane] << 8);
          sum += coded & 1 ? -(coded + 1) / 2 : coded / 2;
          numbers[i] = sum;
        }
        found.push(numbers);
      }
      offset += 2 * plane;
      return found;
    };
    const [n, outcome, arrived, followsRule, best] = [0, 1, 2, 3, 4].map(() => column(1, 1)[0][0]);
    const columns = {
      points: column(2, steps + 1),
      values: column(1, steps + 1)[0],
      gradients: column(2, steps),
      turned: column(2, steps),
      rates: column(2, steps),
    };
    return { n, outcome, arrived: arrived < 0 ? Infinity : arrived, followsRule: Boolean(followsRule), best, columns };
  }
}

function unpack(f, columns, learningRate) {
  const { pointsPerDomain, levelsPerOctave, fineLevelsPerOctave, levelsPerAsinh, nothing } = about.packing;
  const power = (octave) => (octave <= nothing ? 0 : 2 ** octave);
  const numbers = (codes, perOctave, unit = 1) =>
    Float64Array.from(codes, (code) => {
      const octave = (code >> 1) / perOctave;
      return octave < nothing ? NaN : (code & 1 ? -unit : unit) * power(octave);
    });
  const value = f.minimum === null
    ? (level) => Math.sinh(level / levelsPerAsinh)
    : (level) => f.minimum + power(level / fineLevelsPerOctave);
  const { gradients, turned } = columns;
  return {
    points: columns.points.map((places, axis) => {
      const quantum = (f.upper[axis] - f.lower[axis]) / pointsPerDomain;
      return Float64Array.from(places, (place) => f.lower[axis] + place * quantum);
    }),
    values: Float64Array.from(columns.values, value),
    gradients: gradients.map((codes) => numbers(codes, levelsPerOctave)),
    directions: gradients.map((codes, axis) =>
      numbers(codes.map((code, i) => code + turned[axis][i]), levelsPerOctave)),
    rates: columns.rates.map((codes) => numbers(codes, fineLevelsPerOctave, learningRate)),
  };
}

// Runs made on demand, exactly where one asks.
class ServedTraces {
  // How many times as far an arrow key goes with Shift.
  farther = 5;

  snap(f, point) {
    return inDomain(f, point);
  }

  mesh(f, axis) {
    return (f.upper[axis] - f.lower[axis]) / 50;
  }

  async traces(f, start, setting) {
    const query = new URLSearchParams({
      function: f.name,
      x: start[0],
      y: start[1],
      momentum: about.momenta[setting.momentum],
      rate: setting.best ? "best" : about.rates[setting.rate],
      optimizers: [...setting.shown].join(" "),
    });
    const response = await fetch(`traces?${query}`);
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    const found = {};
    for (const [name, { numbers, ...head }] of Object.entries(answer)) {
      const all = new Float64Array(bytesOf(numbers).buffer);
      let offset = 0;
      const take = (length) => all.subarray(offset, (offset += length));
      const pair = (length) => [take(length), take(length)];
      found[name] = {
        ...head,
        arrived: head.arrived ?? Infinity,
        points: pair(about.steps + 1),
        values: take(about.steps + 1),
        gradients: pair(about.steps),
        directions: pair(about.steps),
        rates: pair(about.steps),
      };
    }
    return found;
  }
}
