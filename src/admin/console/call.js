// One call, in a dialog over the page.

import { at, element, facts, fetched } from "./page.js";
import { bytes, seconds, statusText } from "./words.js";

const joined = (text, more) => (text && more ? `${text} (${more})` : `${text}${more}`);

function showCall(call) {
  at("detail-title").textContent = call.operation || call.method;
  const about = [
    ["Request id", call.id, "code"],
    ["Arrived", call.time],
    ["Client", joined(call.client, call.proof)],
    ["Source", call.source],
    ["User agent", call.agent],
    ["Route", joined(call.route, call.scheme)],
    ["Upstream", call.upstream],
    ["Credential", call.credential],
    ["Operation", call.operation],
    ["Resource", call.resource],
    ["Decision", joined(call.decision, call.rule)],
    ["Method", call.method],
    ["Status", joined(statusText(call.status), call.error)],
    ["Ended", call.ended],
    ["Bytes", `${bytes(call["bytes-in"])} in, ${bytes(call["bytes-out"])} out`],
    ["Took", `${seconds(call["duration-ms"] / 1e3)} in all, ${seconds(call["upstream-ms"] / 1e3)} upstream, ${call["sign-us"]} µs signing`],
    ["Trace", call["trace-id"], "code"],
  ].filter(([, value]) => value);
  const list = element("dl", { className: "detail" });
  facts(list, about);
  const stages = [["Canonical request", call["canonical-request"]], ["String to sign", call["string-to-sign"]]].filter(([, text]) => text !== null);
  const shown = stages.flatMap(([name, text]) => [element("h3", { textContent: name }), element("pre", { textContent: text, tabIndex: 0 })]);
  const none = "How it was signed is not kept: nobody watched then, or it was never signed.";
  at("detail-body").replaceChildren(list, ...(shown.length ? shown : [element("p", { className: "note", textContent: none })]));
}

export async function open(id) {
  try {
    showCall(await fetched(`/calls/${encodeURIComponent(id)}`));
  } catch (error) {
    at("detail-title").textContent = error.status === 404 ? "No such call" : "Not reachable";
    const why = error.status === 404 ? "This call is not kept any more." : error.message;
    at("detail-body").replaceChildren(element("p", { textContent: why }));
  }
  if (!at("detail").open) at("detail").showModal();
}

at("close").addEventListener("click", () => at("detail").close());
// Beside the dialog, on what it covers.
at("detail").addEventListener("click", (event) => {
  if (event.target === at("detail")) at("detail").close();
});
