"""A CloudStack management server as seen from outside: verifies like `ApiServer.verifyRequest`, then plays a zone.

Rules are those of apache/cloudstack ApiServer.java, ApiServlet.java and DateUtil.parseTZDateString. It shares no
code with countersign's signer and never accepts what the real server would refuse.
"""

import base64
import hashlib
import hmac
import json
import re
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import quote_from_bytes, unquote_plus
from xml.sax.saxutils import escape

from listen import Reply, Request, Verdict, json_reply, run

DENIED = "unable to verify user credentials and/or request signature"
READS = re.compile(r"(get|list|query|find)\w+")
READS_BY_NAME = {
    "isaccountallowedtocreateofferingswithtags", "readyforshutdown", "cloudianisenabled", "quotabalance",
    "quotasummary", "quotatarifflist", "quotaisenabled", "quotastatement", "verifyoauthcodeandgetuser",
}


def decode(piece):
    """Form decoding, as the servlet container and `ApiServlet.utf8Fixup` do it."""
    return unquote_plus(piece, encoding="utf-8", errors="replace")


def parameters(request):
    """The parameter map that the server builds out of the query and a form body."""
    merged = {}
    pieces = [piece for piece in request.query.split("&") if piece]
    content_type = (request.header("content-type") or "").split(";")[0].strip().lower()
    if request.method == "POST" and content_type == "application/x-www-form-urlencoded":
        pieces += [piece for piece in request.body.decode("latin-1").split("&") if piece]
    for piece in pieces:  # servlet parameters: the first value of a name counts
        name, _, value = piece.partition("=")
        merged.setdefault(decode(name), decode(value))
    for piece in request.query.split("&"):  # then the raw query overwrites: the last one counts
        if "=" in piece:
            name, _, value = piece.partition("=")
            merged[decode(name)] = decode(value)
    return merged


def as_sent(request):
    """Every decoded pair on the wire in order, repeats included: for the journal and its checks."""
    pieces = request.query.split("&") + (request.body.decode("latin-1").split("&") if request.body else [])
    return [[decode(piece.partition("=")[0]), decode(piece.partition("=")[2])] for piece in pieces if piece]


def java_url_encode(value):
    """`URLEncoder.encode(value, UTF-8)` with `+` turned into `%20`: `~` is escaped, `*` is not."""
    return quote_from_bytes(value.encode("utf-8", "surrogatepass"), safe="*").replace("~", "%7E")


def string_to_sign(params):
    """Sorted by raw name in UTF-16 code units, names raw, values Java-encoded, the whole lower-cased."""
    names = sorted((n for n in params if n.lower() != "signature"), key=lambda n: n.encode("utf-16-be", "surrogatepass"))
    return "&".join(f"{name}={java_url_encode(params[name])}" for name in names).lower()


def sign(text, secret):
    """Base64 of HMAC-SHA1."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def parse_expires(text):
    """The instant, or `None` for every form that `DateUtil.parseTZDateString` does not take."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d|[+-]\d{4}|Z\+0000)", text)
    if not match:
        return None
    instant, fraction, zone = match.groups()
    if fraction and not re.fullmatch(r"Z|[+-]\d\d:\d\d", zone):
        return None
    offset = timedelta(0)
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) * (-1 if zone[0] == "-" else 1)
    try:
        return datetime.strptime(instant, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone(offset))
    except ValueError:
        return None


def last_of(params, wanted):
    """A special parameter by name in any letter case; names are walked in sort order and the last one stays."""
    found = None
    for name in sorted(params, key=lambda n: n.encode("utf-16-be", "surrogatepass")):
        if name.lower() == wanted:
            found = params[name]
    return found


def verify(request, keys, now, enforced):
    """`keys` maps API keys to secrets; `now` is an aware datetime; `enforced` is enforce.post.requests.and.timestamps."""
    params = parameters(request)
    if any("JSESSIONID" in cookie for cookie in request.values("cookie")):
        return Verdict(False, "a session cookie: judged as a session, and there is none", "401")
    command = params.get("command")
    if not command:
        return Verdict(False, "no command", "401")
    if enforced and request.method != "POST" and not READS.fullmatch(command.lower()) and command.lower() not in READS_BY_NAME:
        return Verdict(False, f"State changing command {command} needs to be sent using POST request", "400")
    key, signature = last_of(params, "apikey"), last_of(params, "signature")
    if not key or not signature:
        return Verdict(False, "no apiKey or no signature", "401")
    version, expires = last_of(params, "signatureversion"), last_of(params, "expires")
    if enforced and version != "3":
        return Verdict(False, "signatureVersion 3 is compulsory here", "401")
    if version == "3":
        instant = parse_expires(expires or "")
        if instant is None:
            return Verdict(False, f"expires {expires!r} is no time with a zone", "401")
        if instant < now:
            return Verdict(False, f"expired at {expires}", "401")
        if enforced and instant > now + timedelta(minutes=15):
            return Verdict(False, f"expires {expires} is more than 15 minutes ahead", "401")
    if key not in keys:
        return Verdict(False, "unknown apiKey", "401")
    text = string_to_sign(params)
    if not hmac.compare_digest(sign(text, keys[key]).encode(), signature.encode("utf-8", "replace")):
        return Verdict(False, "signature does not match", "401", text)
    return Verdict(True, "signature matches", "", text)


REQUIRED = {
    "listNetworks": [],
    "listPublicIpAddresses": [],
    "listUsers": [],
    "listVirtualMachines": [],
    "deployVirtualMachine": ["zoneid", "serviceofferingid", "templateid"],
    "queryAsyncJobResult": ["jobid"],
    "createEgressFirewallRule": ["networkid", "protocol"],
    "createFirewallRule": ["ipaddressid", "protocol"],
    "createPortForwardingRule": ["ipaddressid", "virtualmachineid", "protocol", "publicport", "privateport"],
    "createTags": ["resourceids"],
    "uploadCustomCertificate": ["certificate"],
}
ASYNCHRONOUS = {
    "deployVirtualMachine": "virtualmachine", "createEgressFirewallRule": "firewallrule",
    "createFirewallRule": "firewallrule", "createPortForwardingRule": "portforwardingrule", "createTags": "tag",
}


class Zone:
    """Networks, addresses and jobs. A job is pending for its first two polls."""

    network, zone, address = (str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{n}.zone.test")) for n in ("network", "zone", "address"))

    def __init__(self):
        self._lock = threading.Lock()
        self._jobs = {}

    def answer(self, command, params):
        """(status, response object) for a verified call."""
        missing = [name for name in REQUIRED[command] if name not in params]
        if missing:
            lower = command.lower()
            return 431, error(431, f"Unable to execute API command {lower} due to missing parameter {missing[0]}")
        if command == "listNetworks":
            return 200, {"count": 1, "network": [{"id": params.get("id", self.network), "name": "lab", "zoneid": self.zone}]}
        if command == "listPublicIpAddresses":
            return 200, {"count": 1, "publicipaddress": [{"id": self.address, "ipaddress": "203.0.113.10"}]}
        if command == "listUsers":
            return 200, {"count": 1, "user": [{"id": str(uuid.uuid4()), "username": "admin", "account": "admin"}]}
        if command == "listVirtualMachines":
            return 200, {}
        if command == "uploadCustomCertificate":
            return 200, {"message": "accepted"}
        if command == "queryAsyncJobResult":
            return self._poll(params["jobid"])
        return 200, self._start(command, params)

    def _start(self, command, params):
        with self._lock:
            job, thing = str(uuid.uuid4()), str(uuid.uuid4())
            # A machine called fail-… fails, so that callers can be seen to notice.
            fails = params.get("name", "").startswith("fail-")
            self._jobs[job] = {"polls": 0, "kind": ASYNCHRONOUS[command], "thing": thing, "fails": fails}
        return {"jobid": job} if command == "createTags" else {"id": thing, "jobid": job}

    def _poll(self, name):
        with self._lock:
            job = self._jobs.get(name)
            if job is None:
                return 431, error(431, f"Invalid parameter jobid value={name}")
            job["polls"] += 1
            state = {"jobid": name, "jobprocstatus": 0, "jobstatus": 0, "created": time.strftime("%Y-%m-%dT%H:%M:%S+0000")}
            if job["polls"] > 2 and job["fails"]:
                state |= {"jobstatus": 2, "jobresultcode": 530, "jobresult": {"errorcode": 530, "errortext": "Insufficient capacity"}}
            elif job["polls"] > 2:
                state |= {"jobstatus": 1, "jobresultcode": 0, "jobresult": {job["kind"]: {"id": job["thing"]}}}
            return 200, state


def error(code, text):
    """The body of every refusal."""
    return {"uuidList": [], "errorcode": code, "errortext": text}


def to_xml(name, value):
    """CloudStack's XML: lists repeat their element, no attributes but the version on the outermost."""
    def inner(key, item):
        if isinstance(item, list):
            return "".join(inner(key, one) for one in item)
        if isinstance(item, dict):
            return f"<{key}>{''.join(inner(k, v) for k, v in item.items())}</{key}>"
        return f"<{key}>{escape(str(item))}</{key}>"
    content = "".join(inner(k, v) for k, v in value.items())
    return f'<?xml version="1.0" encoding="UTF-8"?><{name} cloud-stack-version="4.20.1.0">{content}</{name}>'


def render(command, params, status, value):
    """The answer in the form that `response` asks for; XML unless it is `json`."""
    known = command in REQUIRED
    name = f"{command.lower()}response" if known else "errorresponse"
    # A servlet container hands out sessions; a caller of the gateway must never see one.
    session = [("Set-Cookie", "JSESSIONID=node0mock; Path=/client; HttpOnly")]
    headers = session + ([("X-Description", value["errortext"])] if "errortext" in value else [])
    if params.get("response") == "json":
        return json_reply(status, {name: value}, headers)
    body = to_xml(name, {k: v for k, v in value.items() if k != "uuidList"})
    return Reply(status, body.encode(), "text/xml;charset=UTF-8", headers)


def build(options):
    """The handler for `listen.serve`."""
    zone = Zone()
    keys = {options.access_key: options.secret_key}

    def handle(request):
        params = parameters(request)
        command = params.get("command", "")
        if request.path != "/client/api":
            return Verdict(False, f"no such path {request.path}"), Reply(404, b"not found", "text/plain"), command, []
        if request.method not in ("GET", "POST"):
            return Verdict(False, "only GET and POST exist"), Reply(405, b"", "text/plain"), command, []
        verdict = verify(request, keys, datetime.now(timezone.utc), options.enforce_post_and_timestamps)
        if verdict.accepted and command not in REQUIRED:
            verdict = Verdict(False, f"unknown command {command}", "401", verdict.string_to_sign)
        if verdict.accepted:
            reply = render(command, params, *zone.answer(command, params))
        else:
            status = int(verdict.code)
            reply = render(command, params, status, error(status, verdict.reason if status == 400 else DENIED))
        return verdict, reply, command, as_sent(request)

    return handle


def selftest(report):
    """cloudstack.json: string and signature; cloudstack_verify.json: the server's decisions, status included."""
    for vector in report.vectors("cloudstack.json"):
        params = dict(map(tuple, vector["request"]["params"]))
        text = string_to_sign(params)
        report.check(vector["name"] + " string to sign", text == vector["expected"]["string_to_sign"], text)
        made = sign(text, vector["credentials"]["secret_key"])
        report.check(vector["name"] + " signature", made == vector["expected"]["signature"], made)
    for vector in report.vectors("cloudstack_verify.json"):
        sent = vector["request"]
        target = sent["path"] + ("?" + sent["query"] if sent["query"] else "")
        request = Request(sent["method"], target, [tuple(h) for h in sent["headers"]], sent["body"].encode())
        keys = {vector["credentials"]["api_key"]: vector["credentials"]["secret_key"]}
        now = datetime.fromisoformat(vector["clock"].replace("Z", "+00:00"))
        verdict = verify(request, keys, now, vector["enforce_post_and_timestamps"])
        status = 200 if verdict.accepted else int(verdict.code)
        report.check(vector["name"], status == vector["expected"]["status"], f"{status}: {verdict.reason}")
        if verdict.accepted:
            wrong = {vector["credentials"]["api_key"]: "not-" + vector["credentials"]["secret_key"]}
            report.check(vector["name"] + " wrong secret", not verify(request, wrong, now, False).accepted, "accepted")
    body = json.loads(render("listUsers", {"response": "json"}, 401, error(401, DENIED)).body)
    expected = {"listusersresponse": {"uuidList": [], "errorcode": 401, "errortext": DENIED}}
    report.check("401 body", body == expected, body)


if __name__ == "__main__":
    run(
        "cloudstack",
        lambda parser: parser.add_argument("--enforce-post-and-timestamps", action="store_true"),
        build,
        selftest,
    )
