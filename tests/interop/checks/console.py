"""The console in a real browser: 200 calls go through the gateway while it watches, and what it shows must be what
`/metrics` counts; nothing may go wrong on the page, and no secret may be in it.

Pictures of it, light and dark, wide and narrow, go to `INTEROP_ARTEFACTS`.
"""

import json
import os
import re
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote

from chromium import Chromium
from leaks import spellings
from table import row
from world import WORK, admin_port, exchange, gateway_port

GATEWAY = "console"
PICTURES = Path(os.environ["INTEROP_ARTEFACTS"])
MARKUP = "<img src=x onerror=pwned()>"
# A parameter whose value nobody may see in the console.
PARAMETER = "interop-parameter-value"

# What is called: how often, and the arguments of `exchange`.
CALLS = [
    (50, ("GET", f"/client/api?command=listUsers&response=json&keyword={PARAMETER}"), {}),
    (10, ("GET", "/client/api?command=listZones&response=json"), {}),
    (40, ("GET", "/zstack/v1/vm-instances?limit=1"), {}),
    (30, ("POST", "/buckets?Action=ListMetrics"), {"headers": [("Content-Type", "application/x-amz-json-1.0")], "body": b'{"buckets":["utapi-bucket"],"timeRange":[1764547200000,1764548099999]}'}),
    (20, ("GET", "/?ostor-users"), {"host": "ostor.internal"}),
    (20, ("GET", "/client/api?response=json"), {}),
    (19, ("GET", "/nowhere"), {}),
    (10, ("GET", "/"), {"host": "elsewhere.test"}),
    (1, ("GET", "/client/api?response=json&command=" + quote(MARKUP)), {"headers": [("User-Agent", MARKUP)]}),
]


def fetch(path):
    """What the admin listener answers."""
    return exchange(admin_port(GATEWAY), "GET", path)


def counted():
    """Samples of `/metrics`: name, labels, value."""
    for line in fetch("/metrics").text.splitlines():
        if found := re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line):
            yield found[1], dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or "")), float(found[3])


def total(name, **labels):
    """The sum of a metric over all series with these labels."""
    return sum(value for metric, own, value in counted() if metric == name and all(own.get(label) == wanted for label, wanted in labels.items()))


def until(page, script, wanted=True, patience=20):
    """The value of a script once it is the wanted one, or what it was at last."""
    end = time.monotonic() + patience
    while (got := page.run(script)) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    return got


def told(call, expected, got, good=None):
    """A row about the console."""
    return row("chromium", "console", call, expected, got, good)


def settled(count):
    """Waits until the gateway has counted so many calls."""
    end = time.monotonic() + 20
    while (got := total("countersign_requests_total")) < count and time.monotonic() < end:
        time.sleep(0.1)
    return got


def legend(page, plot):
    """The totals that stand beside a plot."""
    items = page.run(f"[...document.querySelectorAll('#{plot} .legend li')].map((item) => [item.dataset.series, item.dataset.total])")
    return {series: float(value) for series, value in items if value}


def numbers(page):
    """Rows and totals against the metrics."""
    by_class, by_reason, by_route = Counter(), Counter(), Counter()
    for name, labels, value in counted():
        if name == "countersign_requests_total":
            by_class[labels["code_class"]] += value
            by_route[labels["route"]] += value
        elif name == "countersign_refused_total":
            by_reason[labels["reason"]] += value
    page.run("document.getElementById('plot-hours').value = '4'; document.getElementById('choices').dispatchEvent(new Event('change')); 0")
    classes = json.dumps({name: str(int(count)) for name, count in by_class.items()}, sort_keys=True)
    until(page, "JSON.stringify(Object.fromEntries([...document.querySelectorAll('#plot-classes .legend li')].map((item) => [item.dataset.series, item.dataset.total]).sort()))", classes.replace(", ", ",").replace(": ", ":"))
    told("plot of answers: totals", dict(by_class), legend(page, "plot-classes"))
    shown = legend(page, "plot-refused")
    most = dict(by_reason.most_common(5))
    told("plot of refusals: sum", sum(by_reason.values()), sum(shown.values()))
    told("plot of refusals: by reason", {**most}, {reason: shown.get(reason) for reason in most})
    drawn = page.run("[...document.querySelectorAll('#plots svg')].map((svg) => svg.querySelectorAll('rect, path').length)")
    told("plots are drawn", "something in the first three", drawn, all(count > 0 for count in drawn[:3]))
    until(page, "Number(document.querySelector('#routes tr[data-route=cloudstack] td[data-name=Requests]')?.textContent)", by_route["cloudstack"])
    rows = page.run("[...document.querySelectorAll('#routes tbody tr')].map((row) => [row.dataset.route, Number(row.querySelector('td[data-name=Requests]').textContent)])")
    told("table of routes", {**{route: count for route, count in by_route.items() if count}}, {route: count for route, count in rows if count})
    refusals = page.run("[...document.querySelectorAll('#refusals tbody tr')].map((row) => [row.cells[0].textContent, Number(row.cells[1].textContent)])")
    told("table of refusals", dict(by_reason), dict(map(tuple, refusals)))


def record(page):
    """How the record stands, as the page, `/audit/head` and the metrics have it."""
    written = {kind: int(total("countersign_audit_records_total", kind=kind)) for kind in ("intent", "outcome")}
    head = fetch("/audit/head").text.strip()
    script = "JSON.stringify(Object.fromEntries([...document.querySelectorAll('#record > div')].map((one) => [one.children[0].textContent, one.children[1].textContent])))"
    end = time.monotonic() + 20
    while (shown := json.loads(page.run(script)))["Head of the chain"] != head and time.monotonic() < end:
        time.sleep(0.1)
    told("the record: head", "number and hash", head, shown["Head of the chain"] == head and bool(re.fullmatch(r"\d+:[0-9a-f]{64}", head)))
    told("the record: lines", written, {"intent": int(shown["Intents"]), "outcome": int(shown["Outcomes"])})
    told("the record: state", ["written", "0", "0"], [shown["State"], shown["Errors"], shown["Lost"]])


def detail(page):
    """A call's detail, by mouse and by keyboard."""
    page.run("document.querySelector('#call-table tr[data-id] a').focus(); 0")
    page.press("ArrowDown")
    told("arrows go from call to call", 1, page.run("[...document.querySelectorAll('#call-table tbody tr')].findIndex((row) => row.contains(document.activeElement))"))
    page.press("Enter")
    told("Enter opens a call", True, until(page, "document.getElementById('detail').open"))
    page.press("Escape")
    told("Escape closes it", False, until(page, "document.getElementById('detail').open", False))
    told("and the focus is back", "A", page.run("document.activeElement.tagName"))
    page.run("[...document.querySelectorAll('#call-table tbody tr')].find((row) => row.textContent.includes('listUsers')).click(); 0")
    until(page, "document.getElementById('detail').open && document.getElementById('detail-title').textContent", "listUsers")
    text = page.run("document.getElementById('detail').textContent")
    told("a call's string to sign", "command=listusers, and a parameter only by its length", text[-300:], "command=listusers" in text and "‹23 bytes›" in text and PARAMETER not in text)
    page.picture(PICTURES / "console-detail.png")
    page.run("document.getElementById('close').click(); 0")


def searching(page, expected):
    """The search of the record, which is its own form and its own table."""
    page.run("const field = (name) => document.querySelector(`#search-form [name=${name}]`); field('operation').value = 'listU*'; field('route').value = 'cloudstack'; 0")
    rows = "document.querySelectorAll('#found tbody tr').length"
    end = time.monotonic() + 20
    while True:  # the index may have to catch up first
        page.run("document.getElementById('search-form').requestSubmit(); 0")
        if until(page, rows, expected, 2) == expected or time.monotonic() > end:
            break
    told("search: rows", expected, page.run(rows))
    told("search: and no others", True, page.run("[...document.querySelectorAll('#found tbody tr')].every((row) => row.cells[3].textContent === 'listUsers')"))
    plain = fetch("/?search=1&operation=listU*&route=cloudstack").text.partition('id="found"')[2].partition("</section>")[0]
    told("search: without scripts", expected, plain.count("<tr>") - 1)
    page.run("document.querySelector('#search-form [name=status]').value = 'many'; document.getElementById('search-form').requestSubmit(); 0")
    told("search: a wrong term is explained", True, until(page, "document.querySelector('#found .error')?.textContent.startsWith('status')"))
    page.run("document.getElementById('search-form').reset(); 0")


def filtering(page, expected):
    """The filter, typed as a reader types it."""
    page.run("document.body.focus(); document.activeElement.blur(); 0")
    page.press("/", "Slash")
    told("/ leads to the filter", "filter-text", page.run("document.activeElement.id"))
    for letter in "route:cloudstack status:2xx":
        page.press(letter)
    shown = "[...document.querySelectorAll('#call-table tbody tr')].length"
    told("filter: rows", expected, until(page, shown, expected))
    told("filter: and no others", True, page.run("[...document.querySelectorAll('#call-table tbody tr')].every((row) => row.cells[2].textContent === 'cloudstack' && row.cells[5].textContent === '200')"))
    page.run("const box = document.getElementById('filter-text'); box.value = 'status:x'; box.form.requestSubmit(); 0")
    told("a wrong filter is explained", True, until(page, "document.getElementById('filter-error').textContent.includes('is no status')"))
    page.run("const input = document.getElementById('filter-text'); input.value = ''; input.form.requestSubmit(); 0")
    told("without a filter all rows are back", 200, until(page, shown, 200))


def keyboard(page, url):
    """Tab goes through everything in order, from the top of the page, and shows where it is."""
    page.type(url)
    until(page, "document.getElementById('live')?.textContent.startsWith('live')")
    seen, unseen = [], []
    for _ in range(25):
        page.press("Tab")
        name, outline = page.run("[document.activeElement.id || document.activeElement.className || document.activeElement.tagName, (({ outlineStyle, outlineWidth }) => parseFloat(outlineWidth) >= 1 ? outlineStyle : 'none')(getComputedStyle(document.activeElement))]")
        seen.append(name)
        if outline == "none" and name != "BODY":  # between the last link and the first it is the browser's own
            unseen.append(name)
    wanted = ["skip", "plot-route", "plot-hours", "filter-text", "pause"]
    order = [seen.index(name) if name in seen else -1 for name in wanted]
    told("Tab: order", wanted, seen, order == sorted(order) and -1 not in order)
    told("Tab: the calls are one stop", "four links or less after them", seen[seen.index("pause") + 1 :], seen[seen.index("pause") + 1 :].count("A") <= 12)
    told("Tab: focus is visible", [], unseen)


def looks(page):
    """Wide and narrow, light and dark: nothing runs out of the page, and it is dark where it should be."""
    for width in (360, 768, 1280):
        for dark in (False, True):
            page.look(width, 1400, dark=dark)
            page.run("scrollTo(0, 0); 0")
            time.sleep(0.6)
            scroll, inner = page.run("[document.documentElement.scrollWidth, innerWidth]")
            wide = page.run("[...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.skip, details, svg')).map((one) => one.tagName + '.' + one.className + '#' + one.id).slice(0, 5)")
            told(f"{width} wide, {'dark' if dark else 'light'}: no sideways scrolling", [width, []], [scroll, wide], scroll <= inner and not wide)
            ground = page.run("getComputedStyle(document.documentElement).backgroundColor")
            level = sum(map(int, re.findall(r"\d+", ground)[:3]))
            told(f"{width} wide, {'dark' if dark else 'light'}: background", "dark" if dark else "light", ground, (level < 200) == dark)
            page.picture(PICTURES / f"console-{width}-{'dark' if dark else 'light'}.png", whole=True)
    page.look(1280)


def contrast(page):
    """Text against its ground, light and dark, as WCAG counts it."""
    script = """(() => {
      const light = (colour) => { const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const ground = (one) => { for (; one; one = one.parentElement) { const found = getComputedStyle(one).backgroundColor; if (!found.endsWith(', 0)')) return found; } return 'rgb(255, 255, 255)'; };
      let least = [99, ''];
      for (const one of document.querySelectorAll('h1, h2, h3, p, td, th, dt, dd, a, button, li, summary, input, small')) {
        if (!one.textContent.trim() || !one.checkVisibility()) continue;
        const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < least[0]) least = [ratio, `${one.tagName} ${one.className} ${one.textContent.slice(0, 20)}`];
      }
      return least;
    })()"""
    for dark in (False, True):
        page.look(1280, dark=dark)
        ratio, where = page.run(script)
        told(f"contrast, {'dark' if dark else 'light'}", "4.5 or more", f"{ratio:.2f} {where}", ratio >= 4.5)
    page.look(1280)


def without_scripts(browser, url, count):
    """The same page as plain tables."""
    with browser.page() as page:
        page.watch()
        page.look(1280, scripts=False)
        page.type(url)
        time.sleep(1)
        document = page.call("DOM.getDocument", depth=-1)["root"]["nodeId"]
        nodes = lambda selector: page.call("DOM.querySelectorAll", nodeId=document, selector=selector)["nodeIds"]
        told("without scripts: calls", min(count, 500), len(nodes("#call-table tbody tr")))
        told("without scripts: routes", "five or more", len(nodes("#routes tbody tr")), len(nodes("#routes tbody tr")) >= 5)
        page.picture(PICTURES / "console-without-scripts.png", whole=True)


def main():
    with Chromium(["elsewhere.test"], language="en") as browser:
        url = f"http://127.0.0.1:{admin_port(GATEWAY)}/"
        with browser.page() as page:
            page.watch()
            page.look(1280)
            page.type(url)
            told("live", True, until(page, "document.getElementById('live')?.textContent.startsWith('live')"))
            before = total("countersign_requests_total")
            statuses = Counter()
            for count, arguments, options in CALLS:
                for _ in range(count):
                    answer = exchange(gateway_port(GATEWAY), *arguments, **options)
                    if "/client/api" in arguments[1]:
                        statuses[answer.status] += 1
            count = sum(count for count, _, _ in CALLS)
            told("calls went through the gateway", count, int(settled(before + count) - before))
            told("live rows", count, until(page, "document.querySelectorAll('#call-table tbody tr').length", count))
            told("markup of callers is text", [0, "undefined"], page.run("[document.querySelectorAll('main img, main script').length, typeof pwned]"))
            told("and is shown as what it is", True, page.run(f"document.getElementById('call-table').textContent.includes({json.dumps(MARKUP)})"))
            numbers(page)
            record(page)
            detail(page)
            searching(page, 50)
            filtering(page, statuses[200])
            keyboard(page, url)
            looks(page)
            contrast(page)
            document = page.run("document.documentElement.outerHTML")
            told("complaints of the page and the browser", [], [text for text in page.complaints() if "status:x" not in text and "status%3Ax" not in text and "status=many" not in text])
        without_scripts(browser, url, count)
    pages = {"page": document.encode(), **{path: fetch(path).body for path in ("/", "/status", "/history", "/calls")}}
    calls = json.loads(pages["/calls"])
    pages |= {f"/calls/{call['id']}": fetch(f"/calls/{call['id']}").body for call in calls[:: max(1, len(calls) // 40)]}
    canaries = [line for line in (WORK / "canaries").read_text().splitlines() if line]
    pages["/audit/head"] = fetch("/audit/head").body
    found = sorted({f"canary {number} in {name}" for name, text in pages.items() for number, canary in enumerate(canaries) for form in spellings(canary) if form.encode() in text})
    told(f"{len(canaries)} secrets in {len(pages)} pages", "none", "; ".join(found) or "none")
    told("values of parameters in any page", "none", "; ".join(name for name, text in pages.items() if PARAMETER.encode() in text) or "none")


if __name__ == "__main__":
    main()
