"""A ZStack management node's REST door: verifies AccessKey requests like `RestServer` does, then plays a few calls.

Rules are those of zstackio/zstack RestServer.java (`getDecodedUrl`, `checkTime`) and the accesskey backend's
`doAuth`: three signed lines, and a Date that is compared with the server's own wall clock, zone label ignored.
It shares no code with countersign's signer.
"""

import base64
import hashlib
import hmac
import re
import threading
import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from listen import Reply, Request, Verdict, json_reply, run

SKEW = timedelta(minutes=15)
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
# What SimpleDateFormat's `z` takes, as far as anyone sends it; numeric offsets are not among them.
ZONE_NAMES = {"GMT", "UTC", "PRC", "CST"}


def signed_path(path, context_path):
    """The path that is signed: context path cut once from the front, then percent-decoded (`+` stays)."""
    if context_path and (path == context_path or path.startswith(context_path + "/")):
        path = path[len(context_path):]
    return unquote(path, encoding="utf-8", errors="replace")


def string_to_sign(method, date, path):
    """METHOD, Date, path; no final newline."""
    return f"{method}\n{date}\n{path}"


def sign(text, secret):
    """Base64 of HMAC-SHA1."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def parse_date(text):
    """The wall-clock fields of a Date header, or `None` if the server could not parse it."""
    match = re.fullmatch(r"(\w{3}), (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) ([A-Za-z][A-Za-z_/]*)", text)
    if not match:
        return None
    day_name, day, month, year, hour, minute, second, zone = match.groups()
    if month not in MONTHS or not (zone in ZONE_NAMES or zone in available_timezones()):
        return None
    try:
        fields = datetime(int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))
    except ValueError:
        return None
    return fields if DAYS[fields.weekday()] == day_name else None


def render_date(instant, zone, label):
    """An instant as the server's clients write it."""
    local = instant.astimezone(zone)
    return f"{DAYS[local.weekday()]}, {local.day:02} {MONTHS[local.month - 1]} {local.year} {local:%H:%M:%S} {label}"


def verify(request, keys, wall_clock, context_path):
    """`keys` maps access key ids to secrets; `wall_clock` is the server's naive local time."""
    authorization = request.header("authorization")
    if authorization is None:
        return Verdict(False, "missing header 'Authorization'", "400")
    authorization = authorization.strip()
    if authorization.startswith("OAuth"):
        return Verdict(False, "session has been expired", "503")
    if not authorization.startswith("ZStack"):
        return Verdict(False, "unknown Authorization type", "400")
    date = request.header("date")
    if date is None:
        return Verdict(False, "'Date' must be incuded in request header", "400")
    fields = parse_date(date.strip())
    if fields is None:
        return Verdict(False, "'Date' format error, correct format is 'EEE, dd MMM yyyy HH:mm:ss z'", "400")
    if abs(fields - wall_clock) > SKEW:
        return Verdict(False, "requestTimeTooSkewed", "403")
    parts = authorization.removeprefix("ZStack").strip().split(":")
    if len(parts) != 2:
        return Verdict(False, "'Authorization' format error", "400")
    key, signature = parts
    if key not in keys:
        return Verdict(False, f"access key id: {key} does not existed or disabled", "403")
    text = string_to_sign(request.method, date.strip(), signed_path(request.path, context_path))
    if not hmac.compare_digest(sign(text, keys[key]).encode(), signature.encode("utf-8", "replace")):
        return Verdict(False, "wrong accessKey signature", "403", text)
    return Verdict(True, "signature matches", "", text)


class Node:
    """Two machines and the jobs that create more. A job runs for its first poll."""

    def __init__(self):
        self._lock = threading.Lock()
        self._machines = [{"uuid": uuid.uuid4().hex, "name": name, "state": "Running"} for name in ("web-1", "web-2")]
        self._jobs = {}

    def answer(self, request, path, own_address):
        """The reply to a verified call."""
        if request.method == "GET" and path.rstrip("/") == "/v1/vm-instances":
            return json_reply(200, {"inventories": self._machines})
        if request.method == "GET":
            return json_reply(200, {"inventories": []})
        with self._lock:
            job = uuid.uuid4().hex
            self._jobs[job] = 0
        return json_reply(202, {"location": f"http://{own_address}/zstack/v1/api-jobs/{job}"})

    def poll(self, job):
        """202 while it runs, then its result; 404 for a job that nobody started."""
        with self._lock:
            if job not in self._jobs:
                return json_reply(404, {"error": {"code": "SYS.1006", "description": "no such job"}})
            self._jobs[job] += 1
            if self._jobs[job] == 1:
                return json_reply(202, {"location": f"/zstack/v1/api-jobs/{job}"})
            return json_reply(200, {"inventory": {"uuid": uuid.uuid4().hex, "name": "made"}})


def build(options):
    """The handler for `listen.serve`."""
    node = Node()
    keys = {options.access_key: options.secret_key}
    zone = ZoneInfo(options.time_zone)

    def handle(request):
        path = signed_path(request.path, options.context_path)
        operation = f"{request.method} {path}"
        job = re.fullmatch(r"/v1/api-jobs/([0-9a-f]{32})", path)
        if job and request.method == "GET":  # answered before authentication, as the server does
            reply = node.poll(job.group(1))
            return Verdict(True, "job polls are not authenticated"), reply, operation, []
        verdict = verify(request, keys, datetime.now(zone).replace(tzinfo=None), options.context_path)
        if verdict.accepted:
            reply = node.answer(request, path, request.header("host"))
        else:
            reply = Reply(int(verdict.code), verdict.reason.encode(), "text/plain;charset=UTF-8")
        return verdict, reply, operation, []

    return handle


def selftest(report):
    """zstack.json: string, signature and decision; zstack_date.json: the zone arithmetic behind the clock check."""
    for vector in report.vectors("zstack.json"):
        sent, expected = vector["request"], vector["expected"]
        key, secret = vector["credentials"]["access_key"], vector["credentials"]["secret_key"]
        date = vector["clock_date_header"]
        text = string_to_sign(sent["method"], date, signed_path(sent["url"].split("?")[0], vector["context_path"]))
        report.check(vector["name"] + " string to sign", text == expected["string_to_sign"], text)
        headers = [("Date", date), ("Authorization", expected["authorization"])]
        request = Request(sent["method"], sent["url"], headers, sent["body"].encode())
        fields = parse_date(date)
        verdict = verify(request, {key: secret}, fields, vector["context_path"])
        report.check(vector["name"], verdict.accepted, verdict.reason)
        refused = [
            ("wrong secret", request, {key: secret + "x"}, fields),
            ("unknown key", request, {}, fields),
            ("clock 16 minutes off", request, {key: secret}, fields + timedelta(minutes=16)),
            ("another method", Request("PATCH", sent["url"], headers, b""), {key: secret}, fields),
            ("no Date", Request(sent["method"], sent["url"], headers[1:], b""), {key: secret}, fields),
        ]
        for what, spoiled, keys, clock in refused:
            good = verify(spoiled, keys, clock, vector["context_path"]).accepted
            report.check(f"{vector['name']} refuses {what}", not good, "accepted")
    for vector in report.vectors("zstack_date.json"):
        instant = datetime.fromisoformat(vector["clock"].replace("Z", "+00:00")).astimezone(timezone.utc)
        made = render_date(instant, ZoneInfo(vector["server_time_zone"]), vector["zone_label"])
        report.check(vector["name"], made == vector["expected"]["date"], made)
    for bad in ["Fri, 06 Aug 2021 17:58:34 +0800", "Thu, 06 Aug 2021 17:58:34 PRC", "2021-08-06T17:58:34Z"]:
        report.check(f"Date {bad!r} is refused", parse_date(bad) is None, "parsed")


def add_options(parser):
    parser.add_argument("--time-zone", default="Asia/Shanghai", help="the server's own zone")
    parser.add_argument("--context-path", default="/zstack")


if __name__ == "__main__":
    try:
        run("zstack", add_options, build, selftest)
    except ZoneInfoNotFoundError as absent:
        raise SystemExit(f"zstack mock: {absent}; install the tzdata package") from None
