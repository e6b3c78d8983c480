// Plots as inline SVG: lines, stacked bars, and bars by name. Each writes its legend with totals, and its numbers as a
// table, so that nothing is told by colour or by a pointer alone. Text is only ever set as text.

import { element } from "./page.js";

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 52, right: 6, top: 8, bottom: 20 };

function draw(parent, name, attributes = {}, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

// The figure's parts, made once: what is behind its caption is drawn anew each time.
function parts(figure, title) {
  if (!figure.plot) {
    const legend = element("ul", { className: "legend" });
    const svg = draw(figure, "svg", { role: "img", tabindex: "0" });
    const output = element("output");
    const head = element("tr");
    const body = element("tbody");
    const table = element("table", {}, element("thead", {}, head), body);
    const details = element("details", {}, element("summary", { textContent: "Numbers" }), element("div", { className: "numbers" }, table));
    figure.append(legend, svg, output, details);
    figure.plot = { legend, svg, output, details, head, body };
  }
  figure.plot.svg.replaceChildren();
  figure.plot.svg.setAttribute("aria-label", title);
  return figure.plot;
}

function legend(list, series, show) {
  list.replaceChildren(...series.map((one) => {
    const item = element("li", {}, element("i", { className: `swatch ${one.colour}` }), `${one.name} `, element("b", { textContent: show(one.total) }));
    item.dataset.series = one.name;
    item.dataset.total = one.total ?? "";
    return item;
  }));
}

function numbers(plot, names, rows) {
  plot.head.replaceChildren(...names.map((name, at) => element("th", { scope: "col", className: at ? "n" : "", textContent: name })));
  plot.body.replaceChildren(...rows.map((row) => {
    const [first, ...rest] = row.map((text, at) => element(at ? "td" : "th", { className: at ? "n" : "", textContent: text }));
    first.scope = "row";
    return element("tr", {}, first, ...rest);
  }));
}

// The least round number that is not below `value`.
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((round) => round >= value * 0.999);
}

// A number beside an axis: round ones need no decimals.
const tick = (value, show) => (value === 0 ? "0" : show(value).replace(/\.0+(?=\D)/, ""));

// UTC, as everywhere else on the page.
export function clock(seconds, long = false) {
  return new Date(seconds * 1000).toISOString().slice(11, long ? 19 : 16);
}

// What both plots over time share: a frame, a scale, and a cursor for pointer and arrow keys.
function frame(plot, points, most, show, describe) {
  const { svg, output } = plot;
  const width = Math.max(svg.clientWidth, 200);
  const height = Math.max(svg.clientHeight, 120);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const from = points.length ? points[0].ended - points[0].seconds : 0;
  const until = points.length ? points.at(-1).ended : 1;
  const span = Math.max(until - from, 1);
  const x = (time) => MARGIN.left + ((time - from) / span) * (width - MARGIN.left - MARGIN.right);
  const y = (value) => height - MARGIN.bottom - (Math.min(value, most) / most) * (height - MARGIN.top - MARGIN.bottom);
  for (const share of [0, 0.5, 1]) {
    const at = y(most * share);
    draw(svg, "line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at });
    draw(svg, "text", { x: MARGIN.left - 6, y: at + 4, "text-anchor": "end" }, tick(most * share, show));
  }
  const labels = Math.max(2, Math.min(6, Math.floor(width / 110)));
  for (let label = 0; points.length && label < labels; label += 1) {
    const time = from + (span * label) / (labels - 1);
    const anchor = label === 0 ? "start" : label === labels - 1 ? "end" : "middle";
    draw(svg, "text", { x: x(time), y: height - 4, "text-anchor": anchor }, clock(time, span < 600));
  }
  const read = (at) => {
    svg.querySelector(".cursor")?.remove();
    plot.at = at;
    if (at === null || !points[at]) {
      output.textContent = "";
      return;
    }
    const middle = x(points[at].ended - points[at].seconds / 2);
    draw(svg, "line", { class: "cursor", x1: middle, x2: middle, y1: MARGIN.top, y2: height - MARGIN.bottom });
    output.textContent = `${clock(points[at].ended, true)}  ${describe(points[at])}`;
  };
  svg.onpointermove = (event) => {
    const time = from + ((event.clientX - svg.getBoundingClientRect().left - MARGIN.left) / (width - MARGIN.left - MARGIN.right)) * span;
    const at = points.findIndex((point) => point.ended >= time);
    read(at < 0 ? points.length - 1 : at);
  };
  svg.onpointerleave = () => read(null);
  svg.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    read(Math.max(0, Math.min(points.length - 1, (plot.at ?? points.length) + step)));
  };
  svg.onblur = () => read(null);
  if (plot.at !== undefined && plot.at !== null) read(Math.min(plot.at, points.length - 1));
  return { x, y };
}

// Lines over time. `series`: { name, colour, total, value(point) }, of which a value may be missing.
export function lines(figure, title, points, series, show) {
  const plot = parts(figure, title);
  legend(plot.legend, series, (total) => (total === null || total === undefined ? "–" : show(total)));
  const values = points.flatMap((point) => series.map((one) => one.value(point) ?? 0));
  const most = ceiling(Math.max(0, ...values));
  const describe = (point) => series.map((one) => `${one.name} ${one.value(point) === null ? "–" : show(one.value(point))}`).join(", ");
  const { x, y } = frame(plot, points, most, show, describe);
  for (const one of series) {
    let path = "";
    let open = false;
    for (const point of points) {
      const value = one.value(point);
      if (value === null) {
        open = false;
        continue;
      }
      const [left, right, up] = [x(point.ended - point.seconds), x(point.ended), y(value)].map((at) => at.toFixed(1));
      path += `${open ? "L" : "M"}${left} ${up}L${right} ${up}`;
      open = true;
    }
    draw(plot.svg, "path", { class: `line ${one.colour}`, d: path || "M0 0" });
  }
  const told = points.filter((point) => series.some((one) => one.value(point) !== null));
  numbers(plot, ["Until", ...series.map((one) => one.name)], told.map((point) => [clock(point.ended, true), ...series.map((one) => (one.value(point) === null ? "–" : show(one.value(point))))]));
}

// Stacked bars over time, as counts a second. `series`: { name, colour, total, value(point) }.
export function stacked(figure, title, points, series, show) {
  const plot = parts(figure, title);
  legend(plot.legend, series, (total) => String(total));
  const height = (point) => series.reduce((sum, one) => sum + one.value(point), 0) / Math.max(point.seconds, 0.001);
  // A step that has just begun would tower over all others.
  const steady = points.filter((point) => point.seconds >= 5);
  const most = ceiling(Math.max(0, ...(steady.length ? steady : points).map(height)));
  const describe = (point) => series.filter((one) => one.value(point) > 0).map((one) => `${one.name} ${one.value(point)}`).join(", ") || "none";
  const { x, y } = frame(plot, points, most, show, describe);
  for (const point of points) {
    const left = x(point.ended - point.seconds);
    const width = Math.max(x(point.ended) - left - 0.5, 0.8);
    let sum = 0;
    for (const one of series) {
      const share = one.value(point) / Math.max(point.seconds, 0.001);
      if (!share) continue;
      const [low, high] = [y(sum), y(sum + share)];
      draw(plot.svg, "rect", { class: one.colour, x: left.toFixed(1), width: width.toFixed(1), y: high.toFixed(1), height: Math.max(low - high, 0).toFixed(1) });
      sum += share;
    }
  }
  const told = points.filter((point) => series.some((one) => one.value(point) > 0));
  numbers(plot, ["Until", ...series.map((one) => one.name)], told.map((point) => [clock(point.ended, true), ...series.map((one) => String(one.value(point)))]));
}

// Bars by name, two parts each. `rows`: { name, parts: [number, number] }.
export function bars(figure, title, rows, names, show) {
  const plot = parts(figure, title);
  const totals = names.map((name, at) => ({ name, colour: `c-p${at === 0 ? 0 : 4}`, total: rows.reduce((sum, row) => sum + row.parts[at], 0) }));
  legend(plot.legend, totals, show);
  const { svg } = plot;
  const width = Math.max(svg.clientWidth, 200);
  const height = Math.max(56, Math.min(158, rows.length * 24 + 8));
  svg.style.height = `${height}px`;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const most = Math.max(1, ...rows.map((row) => row.parts[0] + row.parts[1]));
  const step = Math.min(24, (height - 4) / Math.max(rows.length, 1));
  const begin = Math.min(150, width * 0.38);
  const room = width - begin - 66;
  rows.forEach((row, at) => {
    const top = 2 + at * step;
    const letters = Math.max(4, Math.floor((begin - 8) / 6.4));
    const name = row.name.length > letters ? `${row.name.slice(0, letters - 1)}…` : row.name;
    draw(svg, "text", { class: "name", x: 0, y: top + step / 2 + 4 }, name);
    let left = begin;
    row.parts.forEach((part, of) => {
      const wide = (part / most) * room;
      draw(svg, "rect", { class: totals[of].colour, x: left.toFixed(1), y: (top + step * 0.2).toFixed(1), width: wide.toFixed(1), height: (step * 0.6).toFixed(1) });
      left += wide;
    });
    draw(svg, "text", { x: left + 6, y: top + step / 2 + 4 }, show(row.parts[0] + row.parts[1]));
  });
  if (!rows.length) draw(svg, "text", { x: 0, y: 20 }, "no calls about buckets yet");
  numbers(plot, ["Bucket", ...names], rows.map((row) => [row.name, ...row.parts.map(show)]));
}
