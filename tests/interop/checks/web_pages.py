"""Web pages against a gateway, in a real browser: whatever a page can make Chromium send, nothing of it is signed.

The attacks are in `browser/attacks.js`. Between Chromium and the gateway stands a relay that keeps what came, so that an
attempt counts only when it arrived; the mocks' journals say what was signed. Every request that arrived must have been
refused as `browser-request` or `unknown-host`, in its answer and in the gateway's log, and no page may read more than
such a refusal. The same requests without what a browser puts on them must be signed: it is the guards that refuse.
"""

import json
import re
import subprocess
import time
from collections import Counter
from urllib.parse import quote

from chromium import Chromium
from records import outcomes
from relay import Relay
from table import row
from world import REPOSITORY, WORK, Journal, admin_port, exchange, gateway_port, tls_port

PAGES = REPOSITORY / "tests" / "interop" / "browser"
MOCKS = ("cloudstack", "cloudstack-strict", "zstack", "ostor", "utapi")
# What a page aims at: a state-changing command where there is one, so that a signed one would do harm.
TARGETS = {
    "cloudstack": "/client/api?command=deployVirtualMachine&response=json&zoneid=z&serviceofferingid=o&templateid=t",
    "zstack": "/zstack/v1/vm-instances?limit=1",
    "s3": "/buckets/interop?list-type=2",
}
# Other spellings of the gateway's address, and names that lead to it.
SPELLINGS = [
    "localhost", "[::1]", "127.0.0.2", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "localhost.", "LOCALHOST", "sub.localhost",
    "2130706433", "0x7f000001", "0x7f.1", "017700000001", "127.1", "user:word@127.0.0.1", "rebind.test", "rebind.test.",
    "127.0.0.1.rebind.test", "ostor.internal.rebind.test",
]
SHORT = ["img", "script", "form GET", "form POST, urlencoded", "fetch", "fetch no-cors", "fetch no-cors POST", "fetch with a header", "WebSocket", "EventSource"]
# What each guard looks at, in a head as it came.
KNOWN_HOSTS = {"127.0.0.1", "localhost", "[::1]", "ostor.internal"}
MARKS = {
    "host": lambda seen: re.sub(r":\d+$", "", (seen.sent("host") or "").lower()) not in KNOWN_HOSTS,
    "origin": lambda seen: seen.sent("origin") is not None,
    "site": lambda seen: (seen.sent("sec-fetch-site") or "none") not in ("none", "same-origin"),
    "dest": lambda seen: (seen.sent("sec-fetch-dest") or "empty") != "empty",
    "agent": lambda seen: (seen.sent("user-agent") or "").startswith("Mozilla/") and seen.sent("accept-language") is not None,
    "options": lambda seen: seen.line.startswith("OPTIONS "),
    "upgrade": lambda seen: seen.sent("upgrade") is not None,
}
CODES = ("browser-request", "unknown-host", "upgrade-refused")
READABLE = re.compile(r"read (403|421|400|405) ")


def pages(target, _host):
    """The attacker's web server: the page, its script, redirects, and a page that reports what it blocks."""
    if target == "/page":
        return 200, [("Content-Type", "text/html; charset=utf-8")], (PAGES / "page.html").read_bytes()
    if target == "/attacks.js":
        return 200, [("Content-Type", "text/javascript; charset=utf-8")], (PAGES / "attacks.js").read_bytes()
    if found := re.match(r"/redirect/(\d+)/(.*)", target):
        return int(found[1]), [("Location", found[2])], b""
    if found := re.match(r"/report-to/(.*)", target):
        return 200, [("Content-Type", "text/html"), ("Content-Security-Policy", f"img-src 'none'; report-uri {found[1]}")], b"<img src=x.png>"
    return None


class Field:
    """The relays, the attacker, the log and the journals; numbers every attempt."""

    def __init__(self, browser, gateway="browser"):
        self.browser, self.gateway = browser, gateway
        self.evil = Relay(pages=pages)
        self.data, self.admin = Relay(gateway_port(gateway), pages), Relay(admin_port(gateway), pages)
        self.journals = [Journal(mock) for mock in MOCKS]
        self.next, self.marks = 1, Counter()

    def numbers(self, count):
        """The first of so many fresh numbers."""
        first, self.next = self.next, self.next + count
        return first

    def reached(self):
        """How many calls reached any upstream since this was asked before."""
        return sum(len(journal.since_last()) for journal in self.journals)

    def arrived(self, relay, first):
        """What came through a relay, by the number of the attempt."""
        relay.settle()
        by_number = {}
        for seen in relay.kept():
            if (found := re.search(r"attempt(?:=|%3D)(\d+)", seen.line)) and int(found[1]) >= first:
                by_number.setdefault(int(found[1]), []).append(seen)
        return by_number

    def guards(self, seen):
        """The marks by which the gateway can tell; a request that only one of them would stop counts for that one."""
        found = [name for name, test in MARKS.items() if test(seen)]
        self.marks[found[0] if len(found) == 1 else "several"] += 1
        return "+".join(found) or "NO MARK"

    def judge(self, what, relay, first, attempts):
        """One row for each attempt: held back by the browser, or refused; and the page read nothing but refusals."""
        by_number = self.arrived(relay, first)
        for attempt in attempts:
            came = by_number.get(attempt["number"], [])
            good = all(refused(seen) for seen in came) and readable(attempt["outcome"])
            verdicts = "; ".join(sorted({f"{seen.line.split()[0]} {seen.status} {code(seen)} [{self.guards(seen)}]" for seen in came}))
            outcome = "" if not attempt["outcome"].startswith("read") else f", page {attempt['outcome']!r}"
            row("chromium", what, attempt["name"], "refused, or never sent", (verdicts or "never sent") + outcome, good)
        row("chromium", what, "reached an upstream", 0, self.reached())
        return by_number


def code(seen):
    """The refusal's code: in a header of the gateway's, in the text of the admin listener's."""
    return seen.answered("x-countersign-error") or seen.body.decode("latin-1").strip()[:40]


def refused(seen):
    """By one of the guards, and without a word that would let a page read it."""
    cross_origin = [name for name, _ in seen.headers if name.startswith(("access-control-", "timing-allow-"))]
    told = code(seen) in CODES or (seen.line.startswith("HEAD ") and not code(seen))
    return seen.status in (400, 403, 421) and told and not cross_origin


def readable(outcome):
    """Nothing, or a refusal: a page on the very origin that it attacks reads that."""
    return not outcome.startswith("read") or bool(READABLE.match(outcome))


def everything(field, what, origin, relay, base, path, names=None):
    """All attacks of a page on `origin`."""
    with field.browser.page(f"{origin}/page") as page:
        names = names or page.run("Object.keys(ATTACKS)")
        first = field.numbers(len(names))
        attempts = page.run(f"attack({json.dumps(base)}, {json.dumps(path)}, {first}, {json.dumps(names)})")
    return field.judge(what, relay, first, attempts)


def navigations(field, what, origin, relay, base, path, typed=403):
    """Ways that lead the whole tab, or a new one, to the gateway; what the user types himself is answered with `typed`."""
    ways = {
        "location": "location.href = {url}",
        "location.replace": "location.replace({url})",
        "link": "Object.assign(document.createElement('a'), {{ href: {url} }}).click()",
        "link without referrer": "Object.assign(document.createElement('a'), {{ href: {url}, rel: 'noreferrer' }}).click()",
        "link to a new tab": "Object.assign(document.body.appendChild(document.createElement('a')), {{ href: {url}, target: '_blank' }}).click()",
        "link to a download": "Object.assign(document.body.appendChild(document.createElement('a')), {{ href: {url}, download: 'x' }}).click()",
        "window.open": "void window.open({url})",
        "form GET": "document.body.innerHTML = '<form action=' + {url}.split('?')[0] + '>' + [...new URL({url}).searchParams].map(([n, v]) => '<input name=\"' + n + '\" value=\"' + v + '\">').join('') + '</form>'; document.forms[0].submit()",
        "form POST": "document.body.innerHTML = '<form method=post action=\"' + {url} + '\"><input name=a value=b></form>'; document.forms[0].submit()",
        "redirect 302": "location.href = '/redirect/302/' + {url}",
        "meta refresh": "document.head.innerHTML += '<meta http-equiv=refresh content=\"0;url=' + {url} + '\">'",
    }
    first, attempts = field.numbers(len(ways)), []
    for number, (name, script) in enumerate(ways.items(), first):
        with field.browser.page(f"{origin}/page") as page:
            page.run(script.format(url=json.dumps(f"{base}{path}{'&' if '?' in path else '?'}attempt={number}")) + "; 0")
            relay.settle(quiet=0.6)
        attempts.append({"number": number, "name": f"tab: {name}", "outcome": "sent"})
    field.judge(what, relay, first, attempts)
    first = field.numbers(2)
    for number, prefix in enumerate(("", "view-source:"), first):
        with field.browser.page() as page:
            page.type(f"{prefix}{base}{path}{'&' if '?' in path else '?'}attempt={number}")
            came = field.arrived(relay, first).get(number, [])
        expected = 421 if "rebind" in base else typed
        # It asks a second time after a 421.
        row("chromium", what, f"tab: typed by the user {prefix}".strip(), ({expected}, 0), ({seen.status for seen in came}, field.reached()))


def log_agrees(field):
    """Each request that the relay saw has its line in the log, with the code that was answered, and no other has one."""
    came = Counter((seen.answered("x-request-id"), seen.answered("x-countersign-error"), seen.status) for seen in field.data.kept())
    logged = Counter((line["request-id"], line["error"], line["status"]) for line in log_lines(field.gateway))
    differ = f"{(came - logged).total()} missing, {(logged - came).total()} more"
    row("chromium", "log", f"each of {came.total()} refusals has its line", "0 missing, 0 more", differ)


def log_lines(gateway):
    """What the gateway has logged."""
    time.sleep(0.2)
    return list(outcomes(WORK / "gateway" / gateway / "stdout.log"))


def over_tls(field, origin):
    """The whole list again over TLS, where nothing stands in between: the log alone says what came."""
    before = len(log_lines(field.gateway))
    with field.browser.page(f"{origin}/page") as page:
        base = f"https://localhost:{tls_port(field.gateway)}"
        attempts = page.run(f"attack({json.dumps(base)}, {json.dumps(TARGETS['cloudstack'])}, {field.numbers(1000)})")
        time.sleep(1)
    codes = Counter(line["error"] for line in log_lines(field.gateway)[before:])
    row("chromium", "evil.test to localhost, TLS", "all attempts together", "refused", dict(codes), good=set(codes) == {"browser-request", "upgrade-refused"} and codes.total() > 60)
    row("chromium", "evil.test to localhost, TLS", "answers that the page could read", [], [a for a in attempts if a["outcome"].startswith("read")])
    row("chromium", "evil.test to localhost, TLS", "reached an upstream", 0, field.reached())


def replayed(field):
    """Requests as Chromium sent them: with each mark alone still refused, without any of them signed."""
    port, tried = gateway_port(field.gateway), {}
    for seen in field.data.kept():
        if seen.line.startswith("GET /client/api?") and not MARKS["upgrade"](seen):
            for mark in (name for name, test in MARKS.items() if test(seen)):
                tried.setdefault(mark, seen)
    harmless = {"connection", "host", "origin", "sec-fetch-site", "sec-fetch-dest", "accept-language", "sec-purpose"}
    bearing = {"host": ["host"], "origin": ["origin"], "site": ["sec-fetch-site"], "dest": ["sec-fetch-dest"], "agent": ["accept-language"]}
    row("replay", "what Chromium sent", "marks that were met", sorted(bearing), sorted(tried))
    for mark, seen in tried.items():
        lines = [line.partition(": ")[::2] for line in seen.head.split("\r\n")[1:] if line]
        plain = [(name, value) for name, value in lines if name.lower() not in harmless]
        kept = [(name, value) for name, value in lines if name.lower() in bearing[mark]]
        host = seen.sent("host") if mark == "host" else None
        target = seen.line.split(" ")[1]
        got = exchange(port, "GET", target, plain + [pair for pair in kept if pair[0].lower() != "host"], host=host)
        expected = (421, "unknown-host") if mark == "host" else (403, "browser-request")
        row("replay", f"only its {mark}", seen.line[:60], (*expected, 0), (got.status, got.headers.get("x-countersign-error"), field.reached()))
        got = exchange(port, "GET", target, plain)
        row("replay", f"without its {mark}", seen.line[:60], (200, None, 1), (got.status, got.headers.get("x-countersign-error"), field.reached()))


def controls(field):
    """The same calls by a program: signed, so it was not the call that was refused."""
    calls = {
        "cloudstack": ["-X", "POST", f"{{base}}{TARGETS['cloudstack']}"],
        "zstack": [f"{{base}}{TARGETS['zstack']}"],
        "s3": ["-H", "Content-Type: application/x-amz-json-1.0", "-d", '{"buckets": ["b"], "timeRange": [1772600400000, 1772602199999]}', "{base}/buckets?Action=ListMetrics&Version=20160815"],
        "ostor": ["-H", "Host: ostor.internal", "{base}/?ostor-usage"],
    }
    for target, command in calls.items():
        command = [word.replace("{base}", f"http://127.0.0.1:{gateway_port(field.gateway)}") for word in command]
        done = subprocess.run(["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", *command], capture_output=True, text=True, timeout=30)
        row("curl", target, "the same call by a program is signed", ("200", 1), (done.stdout, field.reached()))


def main():
    names = ["*.test", "*.internal", "*.localhost", "*.test."]
    path = TARGETS["cloudstack"]
    # Without a language, so that what goes to loopback is told by Fetch Metadata alone.
    with Chromium(names) as browser:
        print(browser.version())
        field = Field(browser)
        here, evil = f"http://127.0.0.1:{field.data.port}", f"http://evil.test:{field.evil.port}"
        for target, aim in TARGETS.items():
            everything(field, f"evil.test to 127.0.0.1, {target}", evil, field.data, here, aim)
        neighbour = f"http://localhost:{field.evil.port}"
        everything(field, "another port of localhost", neighbour, field.data, f"http://localhost:{field.data.port}", path)
        for spelling in SPELLINGS:
            everything(field, f"evil.test to {spelling}", evil, field.data, f"http://{spelling}:{field.data.port}", path, SHORT)
        navigations(field, "evil.test to 127.0.0.1", evil, field.data, here, path)
        admin = f"http://127.0.0.1:{field.admin.port}"
        everything(field, "evil.test to the admin listener", evil, field.admin, admin, "/metrics")
        everything(field, "another port of localhost to the admin listener", neighbour, field.admin, f"http://localhost:{field.admin.port}", "/metrics")
        everything(field, "a rebinding name to the admin listener", f"http://rebind.test:{field.admin.port}", field.admin, f"http://rebind.test:{field.admin.port}", "/metrics")
        navigations(field, "evil.test to the admin listener", evil, field.admin, admin, "/metrics", typed=200)
    # Where a name leads here without TLS there is no Fetch Metadata, but every browser with a user speaks a language.
    with Chromium(names, "en-US") as browser:
        field.browser = browser
        rebinding, named = f"http://rebind.test:{field.data.port}", f"http://ostor.internal:{field.data.port}"
        everything(field, "a rebinding name, same origin", rebinding, field.data, rebinding, path)
        everything(field, "evil.test to a name that a route knows", evil, field.data, named, "/?ostor-usage")
        navigations(field, "a rebinding name", rebinding, field.data, rebinding, path)
        navigations(field, "evil.test to a name that a route knows", evil, field.data, named, "/?ostor-usage")
        log_agrees(field)
        over_tls(field, evil)
    arrived = len(field.data.kept()) + len(field.admin.kept())
    row("chromium", "all of it", "attempts that arrived", "more than 800", arrived, good=arrived > 800)
    for mark in ("host", "site", "dest", "agent"):
        row("chromium", "all of it", f"attempts that only the {mark} gives away", "some", field.marks[mark], good=field.marks[mark] > 0)
    replayed(field)
    controls(field)


if __name__ == "__main__":
    main()
