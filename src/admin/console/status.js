// How the gateway stands: routes, credentials, refusals, buckets, and the record.

import { bars } from "./chart.js";
import { at, cell, element, facts, named, rows } from "./page.js";
import { bytes, expiry, orDash, percent, rate, seconds, skew, uptime } from "./words.js";

function routeRow(route, now) {
  const rejected = route["signature-rejected"];
  let credential = route.credential;
  if (!route.ready) credential += " unavailable";
  else if (route.expires) credential += `, expires ${expiry(route.expires, now)}`;
  if (rejected) credential += `, rejected ${rejected}×`;
  const clock = route["clock-skew-seconds"];
  const row = named(
    `${route.name || "(no route)"} `,
    cell("Upstream", route.upstream),
    cell("Requests", String(route.requests), "n"),
    cell("Rate", rate(route.rate), "n"),
    cell("p50", orDash(route["p50-seconds"], seconds), "n"),
    cell("p99", orDash(route["p99-seconds"], seconds), "n"),
    cell("4xx", orDash(route["share-4xx"], percent), "n"),
    cell("5xx", orDash(route["share-5xx"], percent), route["share-5xx"] > 0 ? "n bad" : "n"),
    cell("In flight", String(route["in-flight"]), "n"),
    cell("Clock", orDash(clock, skew), Math.abs(clock ?? 0) >= 60 ? "n bad" : "n"),
    cell("Credential", credential, route.ready && !rejected ? "" : "bad"),
  );
  row.cells[0].append(element("small", { textContent: route.scheme }));
  row.dataset.route = route.name;
  return row;
}

function showRecord(record) {
  const lost = record["lost-reads"] + record["lost-writes"];
  const why = record["last-error"] ? `${record.obstacle}: ${record["last-error"]}` : record.obstacle;
  facts(at("record"), [
    ["State", record.writable ? "written" : why, record.writable ? "good" : "bad"],
    ["Intents", String(record.intents)],
    ["Outcomes", String(record.outcomes)],
    ["Commits", String(record.commits)],
    ["Waiting", `${record.waiting} (${bytes(record["waiting-bytes"])})`],
    ["Errors", String(record.errors), record.errors ? "bad" : ""],
    ["Lost", String(lost), lost ? "bad" : ""],
    ["Segment", String(record.segment)],
    ["Head of the chain", record.head ?? "none yet", "head"],
  ]);
}

// Routes that a plot may be of.
function offer(choice, names) {
  if (names.join("\n") === [...choice.options].slice(1).map((option) => option.value).join("\n")) return;
  const chosen = choice.value;
  choice.replaceChildren(choice.options[0], ...names.map((name) => element("option", { textContent: name, value: name })));
  choice.value = names.includes(chosen) ? chosen : "";
}

export function showStatus(status) {
  const ready = at("ready");
  ready.textContent = status.ready ? "ready" : "not ready";
  ready.className = `state ${status.ready ? "good" : "bad"}`;
  at("faults").hidden = status.faults.length === 0;
  at("faults").firstElementChild.replaceChildren(...status.faults.map((fault) => element("li", { textContent: fault })));
  const sum = (of) => status.routes.reduce((total, route) => total + of(route), 0);
  const about = [
    ["up", uptime(status)],
    ["requests", String(sum((route) => route.requests))],
    ["rate", rate(sum((route) => route.rate))],
    ["connections", String(status.connections)],
  ];
  if (!status["reload-success"]) about.push(["last reload", "refused", "bad"]);
  facts(at("facts"), about);
  rows(at("routes"), status.routes.map((route) => routeRow(route, status.now)));
  rows(at("credentials"), status.credentials.map((one) => named(
    one.name,
    cell("State", one.ready ? "ready" : "unavailable", one.ready ? "good" : "bad"),
    cell("Expires", orDash(one.expires, (until) => expiry(until, status.now))),
    cell("Failures", String(one.failures), "n"),
  )));
  rows(at("refusals"), status.refusals.map((one) => named(one.reason, cell("Count", String(one.count), "n"))));
  rows(at("buckets"), status.buckets.map((one) => named(
    one.name,
    cell("Calls", String(one.calls), "n"),
    cell("In", bytes(one.received), "n"),
    cell("Out", bytes(one.sent), "n"),
  )));
  showRecord(status.audit);
  offer(at("plot-route"), status.routes.map((route) => route.name).filter((name) => name));
  const traffic = status.buckets.map((one) => ({ name: one.name, parts: [one.received, one.sent] }));
  bars(at("plot-buckets"), "Bytes by bucket since the start", traffic, ["in", "out"], bytes);
}
