// The search of the record, without loading the page anew.

import { at, cell, element, fetched, named } from "./page.js";
import { kind, seconds, statusText } from "./words.js";

const NAMES = ["Time", "Client", "Route", "Operation", "Resource", "Status", "Error", "Took"];

function heading(name) {
  const className = ["Status", "Took"].includes(name) ? "n" : "";
  return Object.assign(element("th", { textContent: name, className }), { scope: "col" });
}

function foundRow(call) {
  return named(
    call.time,
    cell("Client", call.client),
    cell("Route", call.route),
    cell("Operation", call.operation),
    cell("Resource", call.resource),
    cell("Status", statusText(call.status), kind(call.status)),
    cell("Error", call.error),
    cell("Took", seconds(call["duration-ms"] / 1e3), "n"),
  );
}

async function search(form) {
  const asked = new URLSearchParams([...new FormData(form)].filter(([name, value]) => value && name !== "search"));
  const found = at("found");
  try {
    const calls = await fetched(`/search?${asked}`);
    if (!calls.length) {
      found.replaceChildren(element("p", { className: "note", textContent: "No call of the record is such." }));
      return;
    }
    const head = element("tr", {}, ...NAMES.map(heading));
    const body = element("tbody", {}, ...calls.map(foundRow));
    found.replaceChildren(element("table", { className: "stack" }, element("thead", {}, head), body));
  } catch (error) {
    found.replaceChildren(element("p", { className: "error", textContent: error.message }));
  }
}

at("search-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  search(event.target);
});
