// What a web page can make a browser send to a gateway that it does not belong to: every way once.
//
// `attack(base, path, first)` runs them all against `base + path`, each with a number of its own in the query (from
// `first` on), and gives what became of each: [{number, name, outcome}]. An outcome that starts with "read" means that
// the page could read an answer.
"use strict";

const PATIENCE = 2500;
const timeout = () => new Promise((resolve) => setTimeout(resolve, PATIENCE, "no event"));
const stage = () => document.body.appendChild(document.createElement("div"));

// An element whose load or failure ends the attempt. Its attributes are set before it enters the page, so that nothing
// starts without them.
function element(tag, attributes, inside = stage()) {
  return new Promise((resolve) => {
    const made = document.createElement(tag);
    for (const event of ["load", "loadeddata"]) made.addEventListener(event, () => resolve("loaded"));
    made.addEventListener("error", () => resolve("failed"));
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    inside.append(made);
    if (tag === "video" || tag === "audio") made.load();
  });
}

// Markup in a page of its own, in a frame; with `sandbox` the page has an opaque origin.
const framed = (markup, attributes = {}) => element("iframe", { srcdoc: markup, ...attributes });

// A form in a frame, submitted as a script would.
function form(attributes, fields) {
  const inputs = fields.map(([name, value]) => `<input type=hidden name="${name}" value="${value}">`).join("");
  const all = Object.entries(attributes).map(([name, value]) => `${name}="${quoted(value)}"`).join(" ");
  return framed(`<form ${all}>${inputs}</form><script>document.forms[0].submit()</script>`);
}

// What a page learns from a fetch: a body means that it could read.
async function fetched(url, options) {
  try {
    const answer = await fetch(url, options);
    return answer.type === "opaque" || answer.type === "opaqueredirect" ? answer.type : `read ${answer.status} ${await answer.text()}`;
  } catch (error) {
    return `failed: ${error.message}`;
  }
}

function xhr(method, url, prepare = () => undefined, body = null) {
  return new Promise((resolve) => {
    const call = new XMLHttpRequest();
    call.onload = () => resolve(`read ${call.status} ${call.responseText}`);
    call.onerror = () => resolve("failed");
    call.open(method, url);
    prepare(call);
    call.send(body);
  });
}

function inWorker(script, make = (url) => new Worker(url)) {
  return new Promise((resolve) => {
    const worker = make(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
    worker.onmessage = (event) => resolve(event.data);
    worker.onerror = () => resolve("failed");
  });
}

function style(css) {
  const name = `styled${document.querySelectorAll("style").length}`;
  const [sheet, text] = [document.createElement("style"), document.createElement("p")];
  sheet.textContent = css.replace(".styled", `.${name}`).replaceAll("FONT", name);
  text.className = name;
  text.textContent = "styled";
  stage().append(sheet, text);
  return new Promise((resolve) => setTimeout(resolve, 500, "applied"));
}

const paired = (url) => [...new URL(url).searchParams];
const bare = (url) => url.split("?")[0];
// A URL inside markup.
const quoted = (url) => url.replaceAll("&", "&amp;");
const socket = (url) => url.replace(/^http/, "ws");

const ATTACKS = {
  "img": (url) => element("img", { src: url }),
  "img without referrer": (url) => element("img", { src: url, referrerpolicy: "no-referrer" }),
  "img, unsafe-url referrer": (url) => element("img", { src: url, referrerpolicy: "unsafe-url" }),
  "img crossorigin": (url) => element("img", { src: url, crossorigin: "" }),
  "img crossorigin with credentials": (url) => element("img", { src: url, crossorigin: "use-credentials" }),
  "img srcset": (url) => element("img", { srcset: `${url} 1x` }),
  "input type=image": (url) => element("input", { type: "image", src: url }),
  "svg image": (url) => framed(`<svg xmlns="http://www.w3.org/2000/svg"><image href="${quoted(url)}"/></svg>`),
  "body background": (url) => framed(`<body background="${quoted(url)}">x</body>`),
  "video": (url) => element("video", { src: url }),
  "video poster": (url) => framed(`<video poster="${quoted(url)}"></video>`),
  "audio": (url) => element("audio", { src: url }),
  "object": (url) => element("object", { data: url }),
  "embed": (url) => element("embed", { src: url }),
  "script": (url) => element("script", { src: url }),
  "script crossorigin with credentials": (url) => element("script", { src: url, crossorigin: "use-credentials" }),
  "script type=module": (url) => element("script", { src: url, type: "module" }),
  "import()": (url) => import(url).then(() => "loaded", () => "failed"),
  "link stylesheet": (url) => element("link", { rel: "stylesheet", href: url }),
  "link preload": (url) => element("link", { rel: "preload", as: "image", href: url }),
  "link preload as=fetch": (url) => element("link", { rel: "preload", as: "fetch", href: url, crossorigin: "anonymous" }),
  "link modulepreload": (url) => element("link", { rel: "modulepreload", href: url }),
  "link prefetch": (url) => element("link", { rel: "prefetch", href: url }),
  "link icon": (url) => element("link", { rel: "icon", href: url }),
  "link manifest": (url) => element("link", { rel: "manifest", href: url }),
  "css background": (url) => style(`.styled { background: url("${url}") }`),
  "css @import": (url) => style(`@import url("${url}");`),
  "css font": (url) => style(`@font-face { font-family: FONT; src: url("${url}") } .styled { font-family: FONT }`),
  "css cursor and list": (url) => style(`.styled { display: list-item; list-style-image: url("${url}") }`),
  "css mask": (url) => style(`.styled { mask-image: url("${url}") }`),
  "iframe": (url) => element("iframe", { src: url }),
  "iframe without referrer": (url) => element("iframe", { src: url, referrerpolicy: "no-referrer" }),
  "iframe sandboxed": (url) => element("iframe", { src: url, sandbox: "allow-scripts" }),
  "img in a sandboxed page": (url) => framed(`<img src="${quoted(url)}">`, { sandbox: "allow-scripts" }),
  "fetch in a sandboxed page": (url) => framed(`<script>fetch("${url}", { mode: "no-cors" })</script>`, { sandbox: "allow-scripts" }),
  "fetch in a data: page": (url) => element("iframe", { src: `data:text/html,${encodeURIComponent(`<script>fetch("${url}", { mode: "no-cors" })</script>`)}` }),
  "meta refresh in a frame": (url) => framed(`<meta http-equiv=refresh content="0;url=${quoted(url)}">`),
  "location in a frame": (url) => framed(`<script>location = "${url}"</script>`),
  "redirect 302 of an img": (url) => element("img", { src: `/redirect/302/${url}` }),
  "redirect 307 of an img": (url) => element("img", { src: `/redirect/307/${url}` }),
  "redirect of a fetch": (url) => fetched(`/redirect/302/${url}`, { mode: "no-cors" }),
  "redirect 307 of a POST": (url) => fetched(`/redirect/307/${url}`, { mode: "no-cors", method: "POST", body: "x" }),
  "redirect 307 of a form": (url) => form({ action: `/redirect/307/${url}`, method: "post" }, paired(url)),
  "form GET": (url) => form({ action: bare(url), method: "get" }, paired(url)),
  "form POST, urlencoded": (url) => form({ action: url, method: "post" }, paired(url)),
  "form POST, urlencoded, without referrer": (url) => framed(`<meta name=referrer content=no-referrer><form action="${quoted(url)}" method=post></form><script>document.forms[0].submit()</script>`),
  "form POST, text/plain": (url) => form({ action: url, method: "post", enctype: "text/plain" }, paired(url)),
  "form POST, multipart": (url) => form({ action: url, method: "post", enctype: "multipart/form-data" }, paired(url)),
  "form POST in a sandboxed page": (url) => framed(`<form action="${quoted(url)}" method=post></form><script>document.forms[0].submit()</script>`, { sandbox: "allow-scripts allow-forms" }),
  "a ping": (url) => framed(`<a id=a href="#x" ping="${quoted(url)}">x</a><script>document.getElementById("a").click()</script>`),
  "sendBeacon": async (url) => `queued ${navigator.sendBeacon(url, "x")}`,
  "sendBeacon, form": async (url) => `queued ${navigator.sendBeacon(url, new URLSearchParams(paired(url)))}`,
  "sendBeacon, multipart": async (url) => `queued ${navigator.sendBeacon(url, new FormData())}`,
  "EventSource": (url) => new Promise((resolve) => {
    const source = new EventSource(url);
    source.onopen = () => resolve("read: opened");
    source.onerror = () => { source.close(); resolve("failed"); };
  }),
  "WebSocket": (url) => new Promise((resolve) => {
    const made = new WebSocket(socket(url));
    made.onopen = () => resolve("read: opened");
    made.onerror = () => resolve("failed");
  }),
  "XHR GET": (url) => xhr("GET", url),
  "XHR GET with credentials": (url) => xhr("GET", url, (call) => { call.withCredentials = true; }),
  "XHR POST": (url) => xhr("POST", url, undefined, "x"),
  "XHR with a header": (url) => xhr("GET", url, (call) => call.setRequestHeader("X-Amz-Date", "20260101T000000Z")),
  "fetch": (url) => fetched(url),
  "fetch with credentials": (url) => fetched(url, { credentials: "include" }),
  "fetch without referrer": (url) => fetched(url, { referrerPolicy: "no-referrer" }),
  "fetch HEAD": (url) => fetched(url, { method: "HEAD" }),
  "fetch with a header": (url) => fetched(url, { headers: { "X-Requested-With": "x" } }),
  "fetch with Authorization": (url) => fetched(url, { headers: { Authorization: "Bearer x" } }),
  "fetch POST json": (url) => fetched(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }),
  "fetch PUT": (url) => fetched(url, { method: "PUT", body: "x" }),
  "fetch DELETE": (url) => fetched(url, { method: "DELETE" }),
  "fetch PATCH": (url) => fetched(url, { method: "PATCH", body: "x" }),
  "fetch OPTIONS": (url) => fetched(url, { method: "OPTIONS" }),
  "fetch keepalive": (url) => fetched(url, { method: "POST", keepalive: true, body: "x" }),
  "fetch no-cors": (url) => fetched(url, { mode: "no-cors" }),
  "fetch no-cors with credentials": (url) => fetched(url, { mode: "no-cors", credentials: "include" }),
  "fetch no-cors without referrer": (url) => fetched(url, { mode: "no-cors", referrerPolicy: "no-referrer" }),
  "fetch no-cors, every safe header emptied": (url) => fetched(url, { mode: "no-cors", referrerPolicy: "no-referrer", headers: { Accept: "", "Accept-Language": "", "Content-Language": "" } }),
  "fetch no-cors POST": (url) => fetched(url, { mode: "no-cors", method: "POST", body: new URLSearchParams(paired(url)) }),
  "fetch no-cors POST without referrer": (url) => fetched(url, { mode: "no-cors", method: "POST", referrerPolicy: "no-referrer", body: "x" }),
  "fetch no-cors keepalive": (url) => fetched(url, { mode: "no-cors", method: "POST", keepalive: true, body: "x" }),
  "fetch no-cors PUT": (url) => fetched(url, { mode: "no-cors", method: "PUT" }),
  "fetch same-origin": (url) => fetched(url, { mode: "same-origin" }),
  "fetch, private network claimed": (url) => fetched(url, { mode: "no-cors", targetAddressSpace: "loopback" }),
  "worker: fetch": (url) => inWorker(`fetch("${url}", { mode: "no-cors" }).then((answer) => postMessage(answer.type), () => postMessage("failed"))`),
  "worker: importScripts": (url) => inWorker(`try { importScripts("${url}"); postMessage("loaded") } catch { postMessage("failed") }`),
  "worker script": (url) => new Promise((resolve) => {
    try {
      new Worker(url).onerror = () => resolve("failed");
    } catch (error) {
      resolve(`failed: ${error.name}`);
    }
  }),
  "speculation rules: prefetch": async (url) => speculate("prefetch", url),
  "speculation rules: prerender": async (url) => speculate("prerender", url),
  "content security policy report": (url) => element("iframe", { src: `/report-to/${url}` }),
};

function speculate(how, url) {
  const rules = document.createElement("script");
  rules.type = "speculationrules";
  rules.textContent = JSON.stringify({ [how]: [{ source: "list", urls: [url], eagerness: "immediate", referrer_policy: "no-referrer" }] });
  stage().append(rules);
  return new Promise((resolve) => setTimeout(resolve, 1000, "asked"));
}

async function attack(base, path, first, names = Object.keys(ATTACKS)) {
  const numbered = (number) => `${base}${path}${path.includes("?") ? "&" : "?"}attempt=${number}`;
  return Promise.all(names.map(async (name, index) => {
    const number = first + index;
    let outcome;
    try {
      outcome = await Promise.race([ATTACKS[name](numbered(number)), timeout()]);
    } catch (error) {
      outcome = `failed: ${error.message}`;
    }
    return { number, name, outcome: String(outcome).slice(0, 300) };
  }));
}
