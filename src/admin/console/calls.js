// Live calls: the table, its filter, and what the reader does with them.

import { open } from "./call.js";
import { at, cell, element, fetched, rows } from "./page.js";
import { bytes, kind, seconds, statusText } from "./words.js";

const KEPT = 500;
const AGAIN = 3_000;

let source = null;
let turn = 0;
let paused = false;
let waiting = [];
let missed = 0;

// The table is one stop of the Tab key; arrow keys go from row to row.
function rove(row) {
  const links = [...at("call-table").querySelectorAll("tbody a")];
  const kept = row?.querySelector("a") ?? links.find((link) => link === document.activeElement) ?? links[0];
  for (const link of links) link.tabIndex = link === kept ? 0 : -1;
  if (row) kept.focus();
}

function callRow(call) {
  const time = new Date(call.time);
  const text = time.toISOString().slice(11, 23);
  const link = element("a", { textContent: text, href: `/call?id=${encodeURIComponent(call.id)}` });
  const row = element("tr", {}, Object.assign(element("th", {}, link), { scope: "row" }),
    cell("Client", call.client),
    cell("Route", call.route),
    cell("Operation", call.operation || call.method),
    cell("Resource", call.resource),
    cell("Status", statusText(call.status), kind(call.status)),
    cell("In", bytes(call["bytes-in"]), "n"),
    cell("Out", bytes(call["bytes-out"]), "n"),
    cell("Took", seconds(call["duration-ms"] / 1e3), "n"));
  row.dataset.id = call.id;
  return row;
}

// What is seen changes with every call; what is read aloud, only when something becomes different.
function say(state, more = "") {
  const text = state + more;
  if (at("live").textContent !== text) at("live").textContent = text;
  if (at("said").textContent !== state) at("said").textContent = state;
}

function told() {
  const count = at("call-table").tBodies[0].rows.length;
  at("no-calls").hidden = count > 0;
  const left = missed ? `, ${missed} too fast to show` : "";
  if (paused) say("paused", `, ${waiting.length} new${left}`);
  else if (source?.readyState === EventSource.OPEN) say("live", `, ${count} shown${left}`);
  else say("connection lost, trying again");
}

// Shows what came since, at once: a thousand calls a second are one change of the page.
function flush() {
  if (!paused && waiting.length) {
    const body = at("call-table").tBodies[0];
    const known = new Set([...body.rows].map((row) => row.dataset.id));
    const fresh = new Map(waiting.filter((call) => !known.has(call.id)).map((call) => [call.id, call]));
    const made = [...fresh.values()].slice(-KEPT).map(callRow).reverse();
    for (const row of made) row.classList.add("new");
    body.prepend(...made);
    while (body.rows.length > KEPT) body.rows[body.rows.length - 1].remove();
    waiting = [];
    if (made.length) rove();
  }
  told();
}

// Listens with the filter that stands in its box. A later turn ends an earlier one, wherever that is.
async function listen() {
  turn += 1;
  const own = turn;
  source?.close();
  source = null;
  const asked = new URLSearchParams();
  const filter = at("filter-text").value.trim();
  if (filter) asked.set("filter", filter);
  const later = () => setTimeout(() => own === turn && listen(), AGAIN);
  let first;
  try {
    first = await fetched(`/calls?${asked}`);
    if (own !== turn) return;
    at("filter-error").textContent = "";
  } catch (error) {
    if (own !== turn) return;
    at("filter-error").textContent = error.status === 400 ? error.message : "";
    if (error.status !== 400) later();
    return;
  }
  waiting = [];
  missed = 0;
  rows(at("call-table"), first.map(callRow));
  rove();
  const events = new EventSource(`/events?${asked}`);
  source = events;
  events.addEventListener("open", async () => {
    // What happened while nobody listened.
    const since = await fetched(`/calls?${asked}`).catch(() => []);
    if (source !== events) return;
    waiting.unshift(...since.reverse());
    flush();
  });
  events.addEventListener("error", () => {
    // The browser tries again by itself, but not where it was refused.
    if (source === events && events.readyState === EventSource.CLOSED) later();
  });
  events.addEventListener("call", (event) => {
    waiting.push(JSON.parse(event.data));
    if (waiting.length > KEPT) waiting.shift();
  });
  events.addEventListener("missed", (event) => {
    missed += Number(event.data);
  });
}

at("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  listen();
});
let typing = 0;
at("filter-text").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(listen, 300);
});
at("pause").addEventListener("click", () => {
  paused = !paused;
  at("pause").setAttribute("aria-pressed", String(paused));
  flush();
});
at("call-table").addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-id]");
  if (!row || event.ctrlKey || event.metaKey || event.shiftKey || getSelection().toString()) return;
  event.preventDefault();
  open(row.dataset.id);
});
at("call-table").addEventListener("keydown", (event) => {
  const row = event.target.closest("tr[data-id]");
  const body = at("call-table").tBodies[0];
  const next = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling, Home: body.firstElementChild, End: body.lastElementChild }[event.key];
  if (!row || !next) return;
  event.preventDefault();
  rove(next);
});
document.addEventListener("keydown", (event) => {
  const typed = event.target.closest?.("input, select, textarea");
  if (event.key === "/" && !typed && !event.ctrlKey && !event.metaKey && !event.altKey && !at("detail").open) {
    event.preventDefault();
    at("filter-text").focus();
    at("filter-text").select();
  }
});

setInterval(flush, 250);
listen();
