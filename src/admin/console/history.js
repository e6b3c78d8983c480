// The last hours as plots: latency, classes of answers, refusals by reason.

import { lines, stacked } from "./chart.js";
import { at } from "./page.js";
import { rate, seconds } from "./words.js";

const COLOURS = ["c-p0", "c-p1", "c-p2", "c-p3", "c-p4"];

export function showHistory({ classes, points }) {
  const share = (name) => ({ name, value: (point) => point[name] });
  const last = points.findLast((point) => point.p99 !== null);
  lines(at("plot-latency"), "Latency over time: half of the requests, and 99 of a hundred, took at most so long", points, [
    { ...share("p50"), colour: "c-p0", total: last?.p50 },
    { ...share("p99"), colour: "c-p1", total: last?.p99 },
  ], seconds);
  const total = (value) => points.reduce((sum, point) => sum + value(point), 0);
  const answers = classes
    .map((name, index) => ({ name, colour: `c-${name}`, value: (point) => point.classes[index] }))
    .map((one) => ({ ...one, total: total(one.value) }))
    .filter((one) => one.total > 0);
  stacked(at("plot-classes"), "Answers a second by class of status", points, answers, rate);
  const reasons = [...new Set(points.flatMap((point) => Object.keys(point.refused)))]
    .map((name) => ({ name, value: (point) => point.refused[name] ?? 0 }))
    .map((one) => ({ ...one, total: total(one.value) }))
    .sort((one, other) => other.total - one.total || (one.name < other.name ? -1 : 1));
  const shown = reasons.slice(0, COLOURS.length).map((one, index) => ({ ...one, colour: COLOURS[index] }));
  const rest = reasons.slice(COLOURS.length);
  if (rest.length) {
    const value = (point) => rest.reduce((sum, one) => sum + one.value(point), 0);
    shown.push({ name: "others", colour: "c-p5", value, total: total(value) });
  }
  stacked(at("plot-refused"), "Refusals a second by reason", points, shown, rate);
}
