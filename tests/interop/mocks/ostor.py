"""An object-storage management endpoint (Virtuozzo / Acronis "ostor"): SigV2 over the first query item.

The rule is the one that its public clients follow: METHOD, an empty Content-MD5, an empty Content-Type, the Date,
and the path with the query up to its first `&`. It shares no code with countersign's signer.
"""

import base64
import hashlib
import hmac
import secrets
import threading
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import unquote
from xml.sax.saxutils import escape

from listen import Reply, Request, Verdict, json_reply, run

SKEW = timedelta(minutes=15)
SERVICES = {
    "ostor-users": {"GET", "PUT", "POST", "DELETE"},
    "ostor-limits": {"GET", "PUT", "DELETE"},
    "ostor-usage": {"GET", "DELETE"},
}


def string_to_sign(request):
    """Both header lines as sent; the resource ends at the first `&`."""
    lines = [request.method, request.header("content-md5") or "", request.header("content-type") or ""]
    lines.append(request.header("date") or "")
    amz = sorted((n.lower(), v.strip()) for n, v in request.headers if n.lower().startswith("x-amz-"))
    return "\n".join(lines) + "\n" + "".join(f"{n}:{v}\n" for n, v in amz) + request.target.split("&", 1)[0]


def sign(text, secret):
    """Base64 of HMAC-SHA1."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode("utf-8"), hashlib.sha1).digest()).decode()


def arguments(request):
    """Decoded arguments in order; a flag has no value. `+` is a space here, as on every S3 server."""
    pairs = [piece.partition("=") for piece in request.query.split("&") if piece]
    return [[unquote(n.replace("+", " ")), unquote(v.replace("+", " "))] for n, _, v in pairs]


def verify(request, keys, now):
    """`keys` maps access keys to secrets; `now` is an aware datetime."""
    authorization = request.header("authorization")
    if authorization is None:
        return Verdict(False, "no Authorization", "AccessDenied")
    scheme, _, rest = authorization.partition(" ")
    key, _, signature = rest.rpartition(":")
    if scheme != "AWS" or not key:
        return Verdict(False, "not a SigV2 Authorization", "InvalidArgument")
    if request.values("x-amz-date"):
        return Verdict(False, "x-amz-date: it is not established that ostor accepts it", "AccessDenied")
    try:
        date = parsedate_to_datetime(request.header("date") or "")
    except ValueError:
        return Verdict(False, "no Date, or not an RFC 2822 one", "AccessDenied")
    if date.tzinfo is None or abs(date - now) > SKEW:
        return Verdict(False, f"Date {request.header('date')} is too far off", "RequestTimeTooSkewed")
    if key not in keys:
        return Verdict(False, "unknown access key", "InvalidAccessKeyId")
    text = string_to_sign(request)
    if not hmac.compare_digest(sign(text, keys[key]).encode(), signature.encode("utf-8", "replace")):
        return Verdict(False, "signature does not match", "SignatureDoesNotMatch", text)
    if not request.body and (request.header("content-type") or ""):
        # Signed or not: these servers' clients sign an empty line, so a type without a body is a gateway's leftover.
        return Verdict(False, "a Content-Type without a body", "SignatureDoesNotMatch", text)
    return Verdict(True, "signature matches", "", text)


class Store:
    """Users with their keys, limits and usage objects."""

    def __init__(self):
        self._lock = threading.Lock()
        self._users, self._limits = {}, {}
        self._usage = {"s3-usage-8000000000000065-2026-03-04T05:06:07Z-1800": "lab-bucket"}

    def answer(self, service, method, args):
        """The reply to a verified call."""
        with self._lock:
            return {"ostor-users": self._on_users, "ostor-limits": self._on_limits, "ostor-usage": self._on_usage}[service](method, args)

    @staticmethod
    def _new_key():
        return {"AWSAccessKeyId": secrets.token_hex(10), "AWSSecretAccessKey": secrets.token_urlsafe(30)}

    def _on_users(self, method, args):
        mail = args.get("emailAddress")
        if method == "GET" and mail is None:
            return json_reply(200, {"Users": [{k: u[k] for k in ("UserEmail", "UserId", "State")} for u in self._users.values()]})
        if mail is None:
            return s3_error(400, "InvalidArgument", "emailAddress is missing")
        if method == "PUT":
            if mail in self._users:
                return s3_error(409, "UserAlreadyExists", mail)
            self._users[mail] = {"UserEmail": mail, "UserId": secrets.token_hex(8), "State": "enabled", "AWSAccessKeys": [self._new_key()]}
            return json_reply(201, self._users[mail])
        user = self._users.get(mail)
        if user is None:
            return s3_error(404, "NoSuchUser", mail)
        if method == "GET":
            return json_reply(200, user)
        if method == "DELETE":
            del self._users[mail]
            return Reply(204)
        if "genKey" in args:
            user["AWSAccessKeys"].append(self._new_key())
            return json_reply(200, user)
        if "revokeKey" in args:
            kept = [key for key in user["AWSAccessKeys"] if key["AWSAccessKeyId"] != args["revokeKey"]]
            if len(kept) == len(user["AWSAccessKeys"]):
                return s3_error(404, "NoSuchKey", args["revokeKey"])
            user["AWSAccessKeys"] = kept
            return Reply(204)
        if "enable" in args or "disable" in args:
            user["State"] = "enabled" if "enable" in args else "disabled"
            return Reply(204)
        return s3_error(400, "InvalidArgument", "nothing to do")

    def _on_limits(self, method, args):
        whom = args.get("emailAddress") or args.get("id") or args.get("bucket")
        if whom is None:
            return s3_error(400, "InvalidArgument", "emailAddress, id or bucket is missing")
        if method == "PUT":
            self._limits.setdefault(whom, {})[f"{args.get('limit-type')}:{args.get('limit-resource')}"] = args.get("limit-value")
        elif method == "DELETE":
            self._limits.pop(whom, None)
            return Reply(204)
        return json_reply(200, self._limits.get(whom, {}))

    def _on_usage(self, method, args):
        if "obj" not in args:
            return json_reply(200, {"nr_items": len(self._usage), "truncated": False, "items": list(self._usage)})
        bucket = self._usage.get(args["obj"])
        if bucket is None:
            return s3_error(404, "NoSuchKey", args["obj"])
        if method == "DELETE":
            del self._usage[args["obj"]]
            return Reply(204)
        counters = {"ops": {"put": 3, "get": 5, "list": 1, "other": 0}, "net_io": {"uploaded": 1024, "downloaded": 4096}}
        item = {"key": {"bucket": bucket, "epoch": 1, "user": "8000000000000065", "tag": ""}, "counters": counters}
        return json_reply(200, {"fmt_version": 1, "service_id": 1, "start_ts": 1772600767, "period": 1800, "nr_items": 1, "items": [item]})


def s3_error(status, code, message):
    """An S3 error document; it never quotes a signature."""
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>'
    return Reply(status, body.encode(), "application/xml")


def build(options):
    """The handler for `listen.serve`."""
    store = Store()
    keys = {options.access_key: options.secret_key}

    def handle(request):
        args = arguments(request)
        service = args[0][0] if args else ""
        operation = f"{request.method} {service}"
        verdict = verify(request, keys, datetime.now(timezone.utc))
        if not verdict.accepted:
            reply = s3_error(400 if verdict.code == "InvalidArgument" else 403, verdict.code, verdict.reason)
        elif request.path != "/" or service not in SERVICES:
            reply = s3_error(404, "NoSuchBucket", request.path)
        elif request.method not in SERVICES[service]:
            reply = s3_error(405, "MethodNotAllowed", request.method)
        else:
            reply = store.answer(service, request.method, dict(map(tuple, args[1:])))
        return verdict, reply, operation, args

    return handle


def selftest(report):
    """s3v2_ostor.json; where an argument precedes the service name, the clients' rule must *not* verify."""
    for vector in report.vectors("s3v2_ostor.json"):
        sent, expected = vector["request"], vector["expected"]
        key, secret = vector["credentials"]["access_key"], vector["credentials"]["secret_key"]
        headers = [tuple(h) for h in sent["headers"]] + [("Authorization", expected["authorization"])]
        request = Request(sent["method"], sent["url"], headers, b"")
        now = parsedate_to_datetime(request.header("date"))
        service_first = vector["oracles"]["seed002-php"]
        verdict = verify(request, {key: secret}, now)
        report.check(vector["name"], verdict.accepted == service_first, verdict.reason)
        if not service_first:
            continue
        report.check(vector["name"] + " string to sign", verdict.string_to_sign == expected["string_to_sign"], verdict.string_to_sign)
        typed = Request(sent["method"], sent["url"], headers + [("Content-Type", "application/x-www-form-urlencoded")], b"")
        refused = [
            ("wrong secret", request, {key: secret + "x"}, now),
            ("unknown key", request, {}, now),
            ("a late clock", request, {key: secret}, now + timedelta(minutes=16)),
            ("a Content-Type that was not signed", typed, {key: secret}, now),
        ]
        for what, spoiled, keys, clock in refused:
            report.check(f"{vector['name']} refuses {what}", not verify(spoiled, keys, clock).accepted, "accepted")


if __name__ == "__main__":
    run("ostor", lambda parser: None, build, selftest)
