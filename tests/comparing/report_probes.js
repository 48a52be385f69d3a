// What tests ask of the report.

const all = (selector) => [...document.querySelectorAll(selector)];
const light = (colour) => {
  const [r, g, b] = colour.match(/[0-9.]+/g).map((each) => {
    const share = each / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (!colour.endsWith(", 0)")) return colour;
  }
  return "rgb(255, 255, 255)";
};
const contrast = (element) => {
  const style = getComputedStyle(element);
  const [x, y] = [element.closest("svg") ? style.fill : style.color, ground(element)].map(light).sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
const boxes = (svg) => [...svg.querySelectorAll("text")].map((each) => [each.textContent, each.getBBox()]);
const probes = {
  overlaps: () => all("svg").flatMap((svg) => {
    const found = [];
    boxes(svg).forEach(([a, p], i) => boxes(svg).slice(i + 1).forEach(([b, q]) => {
      const apart = p.x + p.width <= q.x || q.x + q.width <= p.x || p.y + p.height - 4 <= q.y || q.y + q.height - 4 <= p.y;
      if (!apart) found.push([a, b]);
    }));
    return found;
  }),
  outside: () => all("svg").flatMap((svg) => {
    const view = svg.viewBox.baseVal;
    return boxes(svg).filter(([, p]) => p.x < 0 || p.y < 0 || p.x + p.width > view.width || p.y + p.height > view.height).map(([a]) => a);
  }),
  faint: () => all("h1, h2, p, th, td, a, svg text").filter((each) => contrast(each) < 4.5).map((each) => each.outerHTML.slice(0, 80)),
  beyond: () => document.scrollingElement.scrollWidth - document.documentElement.clientWidth,
  isDark: () => light(getComputedStyle(document.body).backgroundColor) < 0.1,
};
