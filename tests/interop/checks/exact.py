"""Byte-exact checks: odd requests go in as raw bytes, and the mocks' journals say what came out and whether it verified.

Every case states what the upstream must have seen, or that it must have seen nothing. No HTTP library prepares the
requests: the point is what a tidy library would never send.
"""

from urllib.parse import quote

from table import row
from world import Journal, admin_port, exchange, gateway_port

FORM = ("Content-Type", "application/x-www-form-urlencoded")
RESERVED = {"apikey", "signature", "signatureversion", "expires"}
# Everything that a caller may try to smuggle past the gateway, and that no upstream must ever see.
CALLER_SECRETS = [
    ("Cookie", "JSESSIONID=callers-own; sessionkey=callers-own"),
    ("Authorization", "Basic Y2FsbGVyOmNhbGxlcg=="),
    ("Proxy-Authorization", "Basic Y2FsbGVyOmNhbGxlcg=="),
    ("X-Forwarded-For", "198.51.100.7"),
    ("X-Forwarded-Host", "evil.example"),
    ("Forwarded", "for=198.51.100.7"),
    ("X-Real-IP", "198.51.100.7"),
    ("X-Amz-Security-Token", "callers-own"),
]


def ordinary(call):
    """The parameters that the gateway did not add."""
    return [pair for pair in call["parameters"] if pair[0].lower() not in RESERVED]


def header(call, name):
    """All values of a header as the upstream saw it."""
    return [value for key, value in call["headers"] if key == name]


def seen(journal):
    """The verdict and reason of the only call since; a sentence if there was not exactly one."""
    calls = journal.since_last()
    if len(calls) != 1:
        return f"{len(calls)} calls reached the upstream", None
    return f"{calls[0]['verdict']} {calls[0]['status']}", calls[0]


VALUES = {
    "star and tilde": ("a*b~c", "a*b~c"),
    "star and tilde, encoded": ("a%2Ab%7Ec", "a*b~c"),
    "plus is a space": ("a+b", "a b"),
    "encoded plus": ("a%2Bb", "a+b"),
    "encoded space": ("a%20b", "a b"),
    "lower-case hex": ("%c3%a9%2f", "é/"),
    "unicode": (quote("日本語 😀 Ünï"), "日本語 😀 Ünï"),
    "percent": ("100%25", "100%"),
    "reserved characters": (quote("a&b=c;d#e?f/g\\h\"i<j>k|l^m`n{o}p'q(r)s!t$u,v:w@x", safe=""), "a&b=c;d#e?f/g\\h\"i<j>k|l^m`n{o}p'q(r)s!t$u,v:w@x"),
    "equals sign left bare": ("a=b", "a=b"),
    "empty": ("", ""),
    "newline": ("-----BEGIN%0AMII%0D%0A", "-----BEGIN\nMII\r\n"),
    "brackets": ("%5B0%5D", "[0]"),
}


def cloudstack():
    """Values, names, callers' own credentials and refusals, on a lax and on an enforcing server."""
    port = gateway_port("mocks")
    lax, strict = Journal("cloudstack"), Journal("cloudstack-strict")
    for name, (wire, decoded) in VALUES.items():
        exchange(port, "GET", f"/client/api?command=listVirtualMachines&response=json&keyword={wire}")
        got, call = seen(lax)
        row("raw", "cloudstack", f"GET value: {name}", "accepted 200", got)
        if call:
            row("raw", "cloudstack", f"GET value arrives: {name}", [["command", "listVirtualMachines"], ["keyword", decoded], ["response", "json"]], sorted(ordinary(call)))
        body = f"command=deployVirtualMachine&response=json&zoneid=z&serviceofferingid=o&templateid=t&displayname={wire}".encode()
        exchange(port, "POST", "/strict", [FORM], body)
        got, call = seen(strict)
        row("raw", "cloudstack, enforcing", f"POST form value: {name}", "accepted 200", got)
        if call:
            row("raw", "cloudstack, enforcing", f"POST form value arrives: {name}", [["displayname", decoded]], [p for p in ordinary(call) if p[0] == "displayname"])

    names = {
        "[0].key": ("tags%5B0%5D.key=Env&tags[0].value=Prod+A", {"tags[0].key": "Env", "tags[0].value": "Prod A"}),
        "mixed case sorts before lower case": ("Zeta=1&alpha=2&aB=3&aa=4", {"Zeta": "1", "alpha": "2", "aB": "3", "aa": "4"}),
    }
    for name, (wire, decoded) in names.items():
        exchange(port, "GET", f"/client/api?command=createTags&resourceids=1&{wire}&response=json")
        got, call = seen(lax)
        row("raw", "cloudstack", f"names: {name}", "accepted 200", got)
        if call:
            arrived = {n: v for n, v in ordinary(call) if n not in ("command", "response", "resourceids")}
            row("raw", "cloudstack", f"names arrive: {name}", decoded, arrived)

    spellings = [("apiKey", "signature", "expires", "signatureVersion"), ("APIKEY", "SIGNATURE", "Expires", "signatureversion"), ("apikey", "SiGnAtUrE", "eXpires", "SignatureVersion")]
    for key, signature, expires, version in spellings:
        stale = f"{key}=CALLERSKEY&{signature}=c3RhbGU%3D&{expires}=2011-10-10T12%3A00%3A00%2B0530&{version}=2"
        for how, target, headers, body in [
            ("query", f"/client/api?{stale}&command=listUsers&response=json", [], None),
            ("form", "/client/api", [FORM], f"{stale}&command=listUsers&response=json".encode()),
        ]:
            exchange(port, "POST" if body else "GET", target, headers, body)
            got, call = seen(lax)
            row("raw", "cloudstack", f"caller's own {key}, {signature}, {expires} in the {how}", "accepted 200", got)
            if call:
                added = sorted(name.lower() for name, _ in call["parameters"] if name.lower() in RESERVED)
                row("raw", "cloudstack", f"… are replaced ({key}, {how})", (sorted(RESERVED), False), (added, "CALLERSKEY" in str(call)))

    exchange(port, "POST", "/client/api?command=deployVirtualMachine&response=json&zoneid=z&serviceofferingid=o&templateid=t", [], b"")
    row("raw", "cloudstack", "POST with everything in the query, empty body", "accepted 200", seen(lax)[0])
    exchange(port, "GET", "/strict?command=deployVirtualMachine&response=json&zoneid=z&serviceofferingid=o&templateid=t")
    got, call = seen(strict)
    row("raw", "cloudstack, enforcing", "a state-changing GET is sent as POST", ("accepted 200", "POST"), (got, call and call["method"]))
    long_form = f"command=deployVirtualMachine&response=json&zoneid=z&serviceofferingid=o&templateid=t&userdata={'QUJD' * 8000}".encode()
    exchange(port, "POST", "/strict", [FORM], long_form)
    row("raw", "cloudstack, enforcing", "a form of 32 kB", "accepted 200", seen(strict)[0])
    answer = exchange(port, "GET", "/client/api?command=listUsers")
    row("raw", "cloudstack", "XML without response=json", "text/xml accepted 200", f"{answer.headers['content-type'].split(';')[0]} {seen(lax)[0]}")
    row("raw", "cloudstack", "Set-Cookie does not come back", None, answer.headers.get("set-cookie"))

    exchange(port, "GET", "/client/api?command=listUsers&response=json", CALLER_SECRETS)
    got, call = seen(lax)
    row("raw", "cloudstack", "caller's cookies, Authorization, forwarding headers", "accepted 200", got)
    if call:
        leaked = [name for name, _ in CALLER_SECRETS if header(call, name.lower())]
        row("raw", "cloudstack", "… never reach the upstream", "none", ", ".join(leaked) or "none")

    refusals = {
        "a repeated name": ("/client/api?command=listUsers&response=json&id=1&id=2", 400),
        "a repeated name in another case": ("/client/api?command=listUsers&response=json&id=1&ID=2", 400),
        "two commands": ("/client/api?command=listUsers&Command=deleteUser&response=json", 400),
        "a broken escape": ("/client/api?command=listUsers&response=json&keyword=%zz", 400),
        "overlong UTF-8": ("/client/api?command=listUsers&response=json&keyword=%C0%AF", 400),
        "a control character in a name": ("/client/api?command=listUsers&response=json&a%0Ab=1", 400),
    }
    for name, (target, status) in refusals.items():
        answer = exchange(port, "GET", target)
        row("raw", "cloudstack", f"{name} is refused", (status, True, 0), (answer.status, "x-countersign-error" in answer.headers, len(lax.since_last())))


def routing():
    """What must not be forwarded at all."""
    port = gateway_port("mocks")
    journals = {name: Journal(name) for name in ("cloudstack", "cloudstack-strict", "zstack", "ostor", "utapi")}
    cases = [
        ("unknown path", "GET", "/nowhere", None, 404, "route-not-found"),
        ("prefix that is no segment", "GET", "/client/apiary?command=listUsers", None, 404, "route-not-found"),
        ("unknown host", "GET", "/client/api?command=listUsers", "evil.example", 421, "unknown-host"),
    ]
    for name, method, target, host, status, code in cases:
        answer = exchange(port, method, target, host=host)
        reached = sum(len(journal.since_last()) for journal in journals.values())
        row("raw", "no route", name, (status, code, 0), (answer.status, answer.headers.get("x-countersign-error"), reached))
    answer = exchange(port, "GET", "/client/api?command=listUsers&response=json")
    row("raw", "cloudstack", "every answer carries x-request-id", True, bool(answer.headers.get("x-request-id")))


def unresolved():
    """A credential that is not there: 503 and not ready, never an unsigned request; the neighbour works."""
    journal = Journal("cloudstack")
    answer = exchange(gateway_port("unresolved"), "GET", "/client/api?command=listUsers&response=json")
    row("raw", "unresolved credential", "listUsers", (503, "credential-unavailable", 0), (answer.status, answer.headers.get("x-countersign-error"), len(journal.since_last())))
    ready = exchange(admin_port("unresolved"), "GET", "/readyz")
    row("raw", "unresolved credential", "/readyz names it", (503, True), (ready.status, "lost" in ready.text))
    row("raw", "unresolved credential", "the other route works", 200, exchange(gateway_port("unresolved"), "GET", "/zstack/v1/vm-instances").status)


def zstack():
    """Paths, the uncovered query, callers' own credentials, jobs."""
    port, journal = gateway_port("mocks"), Journal("zstack")
    paths = {
        "plain": ("/zstack/v1/vm-instances", "/v1/vm-instances"),
        "query": ("/zstack/v1/zones?q=name=a%20b&q=state?=x,y&limit=2", "/v1/zones"),
        "space": ("/zstack/v1/images/a%20b", "/v1/images/a b"),
        "unicode": ("/zstack/v1/images/%e4%b8%ad", "/v1/images/中"),
        "tilde and star": ("/zstack/v1/tags/~x*y", "/v1/tags/~x*y"),
        "context path only once": ("/zstack/v1/zstack/nested", "/v1/zstack/nested"),
        "trailing slash": ("/zstack/v1/trailing/", "/v1/trailing/"),
    }
    for name, (target, path) in paths.items():
        if name == "query":  # repeated names are refused on this scheme, so this one has a single q
            target = "/zstack/v1/zones?q=name=a%20b&limit=2"
        exchange(port, "GET", target)
        got, call = seen(journal)
        row("raw", "zstack", f"path: {name}", ("accepted 200", f"GET {path}"), (got, call and call["operation"]))
        if name == "query" and call:
            row("raw", "zstack", "the query passes", True, call["target"].endswith(("?q=name=a%20b&limit=2", "?q=name%3Da%20b&limit=2")))
    own = [("Authorization", "OAuth 0123456789abcdef0123456789abcdef"), ("Date", "Fri, 06 Aug 2021 17:58:34 PRC"), *[h for h in CALLER_SECRETS if h[0] != "Authorization"]]
    exchange(port, "GET", "/zstack/v1/vm-instances", own)
    got, call = seen(journal)
    row("raw", "zstack", "caller's own session, Date, cookies", "accepted 200", got)
    if call:
        leaked = [name for name, value in own if value in header(call, name.lower())]
        row("raw", "zstack", "… never reach the upstream", "none", ", ".join(leaked) or "none")
    answer = exchange(port, "POST", "/zstack/v1/vm-instances", [("Content-Type", "application/json")], b'{"params":{"name":"x"}}')
    row("raw", "zstack", "POST answers 202", (202, "accepted 202"), (answer.status, seen(journal)[0]))
    job = answer.text.rsplit("/", 1)[-1].rstrip('"}')
    row("raw", "zstack", "its job is polled through the gateway", [202, 200], [exchange(port, "GET", f"/zstack/v1/api-jobs/{job}").status for _ in range(2)])


def ostor():
    """Sub-resources, encodings and callers' own SigV2."""
    port, journal, host = gateway_port("mocks"), Journal("ostor"), "ostor.internal"
    cases = {
        "flag": ("GET", "/?ostor-users"),
        "encoded address": ("PUT", "/?ostor-users&emailAddress=a%2Bb%40example.com"),
        "bare at sign": ("GET", "/?ostor-users&emailAddress=a%2Bb@example.com"),
        "service with an empty value": ("GET", "/?ostor-usage="),
        "several arguments": ("PUT", "/?ostor-limits&emailAddress=u%40example.com&limit-type=ops&limit-resource=get&limit-value=10"),
        "an argument before the service": ("GET", "/?emailAddress=a%2Bb%40example.com&ostor-users"),
    }
    for name, (method, target) in cases.items():
        exchange(port, method, target, host=host)
        got, call = seen(journal)
        row("raw", "ostor", name, "accepted", got.split()[0])
        if call and "emailAddress=a" in target:
            row("raw", "ostor", f"{name}: the address arrives", "a+b@example.com", dict(call["parameters"]).get("emailAddress"))
    exchange(port, "POST", "/?ostor-users&emailAddress=a%2Bb%40example.com&disable", [FORM], b"", host=host)
    row("raw", "ostor", "a Content-Type without a body", "accepted 204", seen(journal)[0])
    stale = "AWSAccessKeyId=CALLERSKEY&Expires=1700000000&Signature=c3RhbGU%3D"
    own = [("Authorization", "AWS CALLERSKEY:c3RhbGU="), ("Date", "Mon, 04 Mar 2024 12:00:00 +0000"), *[h for h in CALLER_SECRETS if h[0] != "Authorization"]]
    exchange(port, "GET", f"/?ostor-users&{stale}", own, host=host)
    got, call = seen(journal)
    row("raw", "ostor", "caller's own SigV2 in header and query", ("accepted 200", False), (got, "CALLERSKEY" in str(call)))


def utapi():
    """Bodies, digests and headers that Arsenal would misread."""
    port, journal = gateway_port("mocks"), Journal("utapi")
    target, typed = "/buckets?Action=ListMetrics&Version=20160815", ("Content-Type", "application/x-amz-json-1.0")
    body = '{"buckets": ["utapi-bucket é"], "timeRange": [1772600400000, 1772602199999]}'.encode()
    stale = "AWS4-HMAC-SHA256 Credential=CALLERSKEY/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" + "0" * 64
    cases = {
        "plain": [],
        "proxy_path header": [("proxy_path", "/elsewhere")],
        "caller's own SigV4": [("Authorization", stale), ("X-Amz-Date", "20200101T000000Z"), *[h for h in CALLER_SECRETS if h[0] != "Authorization"]],
        "x-amz-meta header": [("X-Amz-Meta-A", "two   spaces")],
    }
    for name, headers in cases.items():
        exchange(port, "POST", target, [typed, *headers], body)
        got, call = seen(journal)
        if name == "proxy_path header" and call is None:
            got = "accepted 200"  # refused by the gateway (a name with an underscore) is as safe as stripped
        row("raw", "utapi", name, ("accepted 200", False), (got, "CALLERSKEY" in str(call)))
    answer = exchange(port, "POST", target, [typed, ("X-Amz-Content-Sha256", "0" * 64)], body)
    row("raw", "utapi", "a digest that is not the body's is refused", (400, True), (answer.status, all(c["verdict"] == "refused" for c in journal.since_last()) and "x-countersign-error" in answer.headers))


if __name__ == "__main__":
    for part in (cloudstack, routing, unresolved, zstack, ostor, utapi):
        part()
