// What tests ask of the page. Run before each question, outside the page's own script.

const plain = (each) => {
  if (ArrayBuffer.isView(each)) return Array.from(each, (value) => (Number.isNaN(value) ? null : value));
  if (Array.isArray(each)) return each.map(plain);
  return each;
};
const mapped = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
const all = (selector) => [...document.querySelectorAll(selector)];
const told = (elements) => elements.map((each) => each.outerHTML.slice(0, 80));
const named = (each) => [...(each.labels ?? [])].some((label) => label.textContent.trim());

const light = (colour) => {
  const hex = colour.startsWith("#");
  const parts = hex ? [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16)) : colour.match(/[0-9.]+/g).map(Number);
  const [r, g, b] = parts.slice(0, 3).map((each) => {
    const share = each / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
const ground = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (!colour.endsWith(", 0)")) return colour;
  }
  return "#ffffff";
};

const probes = {
  // As the page is when it has been loaded.
  reset: () => {
    secondsToPlay = 9;
    Object.assign(state, {
      rate: nearest(about.rates, 0.03),
      momentum: nearest(about.momenta, 0.9),
      best: false,
      shown: new Set(about.optimizers.slice(0, about.nShown).map(({ name }) => name)),
      selected: about.optimizers[about.nShown - 1].name,
    });
    for (const name of ["rate", "momentum"]) byId(name).value = state[name];
    byId("best").checked = byId("rate").disabled = false;
    document.activeElement.blur();
    scrollTo(0, 0);
    setFunction(about.functions[0].name);
  },
  showAll: () => all("[data-show]:not(:checked)").forEach((each) => each.click()),
  traces: () => mapped(state.traces, (trace) => mapped(trace, plain)),
  cells: () => mapped(numberCells, (cells) => cells.map((cell) => cell.textContent)),
  mapSize: () => [byId("map").clientWidth, byId("map").clientHeight],
  middleOfMap: () => {
    byId("map").scrollIntoView({ block: "center" });
    const box = byId("map").getBoundingClientRect();
    return [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  },
  controls: () =>
    all("select, button, input[type=range], input[type=checkbox], #map").map((each) => each.id || each.dataset.show),
  focus: () => {
    const at = document.activeElement;
    return [at.id || at.dataset.show || at.name, getComputedStyle(at).outlineStyle];
  },
  beyond: (width) =>
    told(all("body *").filter((each) =>
      each.checkVisibility() && !each.matches(".unseen") && each.getBoundingClientRect().right > width)),
  // What a finger has to hit: a checkbox with its label.
  small: (size) =>
    told(all("select, button, input").map((each) => each.closest("label") ?? each).filter((each) => {
      const box = each.getBoundingClientRect();
      return Math.min(box.width, box.height) < size;
    })),
  nameless: () =>
    told(all("select, button, input, canvas").filter((each) =>
      each.getAttribute("aria-hidden") !== "true" && !each.getAttribute("aria-label") &&
      !each.textContent.trim() && !named(each))),
  textContrasts: () =>
    all("body *")
      .filter((each) => !each.matches("script, .unseen, noscript, noscript *"))
      .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
      .map((each) => [each.outerHTML.slice(0, 80), contrast(getComputedStyle(each).color, ground(each))]),
  curveContrasts: () => {
    const colours = theme();
    return colours.colours.flatMap((each) =>
      ["map-low", "map-high", "card"].map((name) => [each, name, contrast(each, colours[name])]));
  },
  isDark: () => light(getComputedStyle(document.body).backgroundColor) < 0.1,
};
