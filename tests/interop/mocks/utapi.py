"""A Zenko/Scality UTAPI endpoint: SigV4 with Arsenal's own rules, then a ListMetrics answer.

Rules are those of scality/Arsenal lib/auth/v4 (`headerAuthCheck`, `areSignedHeadersComplete`, `createCanonicalRequest`)
with one made stricter: the payload hash must be a digest and equal that of the body. No code of countersign's signer.
"""

import hashlib
import hmac
import json
import re
import base64
from datetime import datetime, timedelta, timezone
from urllib.parse import quote, unquote

from listen import Request, Verdict, json_reply, run

SKEW = timedelta(minutes=15)
SERVICES = {"s3", "iam", "ring", "sts"}
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
STATUS = {"InvalidArgument": 400, "MissingSecurityHeader": 400, "XAmzContentSHA256Mismatch": 400}


def encode(text):
    """Strict percent-encoding: only `A-Za-z0-9-._~` stay."""
    return quote(text.encode("utf-8", "surrogateescape"), safe="")


def decode(text):
    """Percent-decoding that keeps undecodable bytes; `+` is a space only in queries."""
    return unquote(text, encoding="utf-8", errors="surrogateescape")


def canonical_query(query):
    """Decoded and strictly re-encoded, sorted by encoded name, then encoded value; a missing `=` is written."""
    pairs = [piece.partition("=") for piece in query.split("&") if piece]
    return "&".join(
        f"{n}={v}" for n, v in sorted((encode(decode(n.replace("+", " "))), encode(decode(v.replace("+", " ")))) for n, _, v in pairs)
    )


def canonical_request(request, signed, payload_hash):
    """Arsenal's canonical request; the path is decoded once and encoded once, never normalised."""
    lines = [request.method, "/".join(encode(decode(segment)) for segment in request.path.split("/")), canonical_query(request.query)]
    for name in signed:
        values = [re.sub(r"[ \t]+", " ", value.strip()) for value in request.values(name)]
        lines.append(f"{name}:{','.join(values)}")
    return "\n".join([*lines, "", ";".join(signed), payload_hash])


def string_to_sign(timestamp, scope, canonical):
    """Algorithm, timestamp, scope, hash of the canonical request."""
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}"


def sign(secret, scope, text):
    """Hex of the chained HMAC."""
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def verify(request, keys, now, *, payload_is_digest=True):
    """`keys` maps access keys to secrets; `payload_is_digest=False` lets UNSIGNED-PAYLOAD through (vectors only)."""
    authorization = request.header("authorization")
    if authorization is None:
        return Verdict(False, "no Authorization", "MissingSecurityHeader")
    match = AUTHORIZATION.fullmatch(authorization)
    if not match:
        return Verdict(False, "Authorization is no SigV4 header", "InvalidArgument")
    payload_hash = request.header("x-amz-content-sha256")
    if not payload_hash:
        return Verdict(False, "x-amz-content-sha256 is compulsory", "MissingSecurityHeader")
    signed = match["signed"].split(";")
    if signed != sorted(set(signed)) or any(name != name.lower() for name in signed):
        return Verdict(False, "SignedHeaders are not sorted lower-case names", "AccessDenied")
    wanted = {"host"} | {n.lower() for n, _ in request.headers if n.lower().startswith(("x-amz-", "x-scal-"))}
    if wanted - set(signed):
        return Verdict(False, f"not signed: {sorted(wanted - set(signed))}", "AccessDenied")
    if any(not request.values(name) for name in signed):
        return Verdict(False, "a signed header is absent", "AccessDenied")
    if request.values("proxy_path"):
        return Verdict(False, "proxy_path would replace the path that is signed", "AccessDenied")
    timestamp = request.header("x-amz-date") or ""
    try:
        instant = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return Verdict(False, "Authentication requires a valid Date or x-amz-date header", "AccessDenied")
    if match["service"] not in SERVICES or match["date"] != timestamp[:8]:
        return Verdict(False, "credential scope: another service, or another day than x-amz-date", "InvalidArgument")
    if abs(instant - now) > SKEW:
        return Verdict(False, f"x-amz-date {timestamp} is too far off", "RequestTimeTooSkewed")
    if match["key"] not in keys:
        return Verdict(False, "unknown access key", "InvalidAccessKeyId")
    if payload_hash != hashlib.sha256(request.body).hexdigest() and (payload_is_digest or payload_hash != "UNSIGNED-PAYLOAD"):
        return Verdict(False, "x-amz-content-sha256 is not the digest of the body", "XAmzContentSHA256Mismatch")
    canonical = canonical_request(request, signed, payload_hash)
    scope = f"{match['date']}/{match['region']}/{match['service']}/aws4_request"
    text = string_to_sign(timestamp, scope, canonical)
    if not hmac.compare_digest(sign(keys[match["key"]], scope, text), match["signature"]):
        return Verdict(False, "signature does not match", "SignatureDoesNotMatch", canonical)
    return Verdict(True, "signature matches", "", canonical)


def list_metrics(request):
    """The answer to `POST /buckets?Action=ListMetrics`: one entry per bucket."""
    try:
        asked = json.loads(request.body)
        buckets, time_range = asked["buckets"], asked["timeRange"]
    except (ValueError, KeyError, TypeError):
        return json_reply(400, {"code": "InvalidArgument", "message": "buckets and timeRange are required"})
    if not time_range or time_range[0] % 900_000 or (len(time_range) > 1 and (time_range[1] + 1) % 900_000):
        return json_reply(400, {"code": "InvalidTimeRange", "message": "timeRange must be aligned to quarters of an hour"})
    entry = {
        "timeRange": time_range, "storageUtilized": [0, 104857600], "incomingBytes": 104857600, "outgoingBytes": 0,
        "numberOfObjects": [0, 1], "operations": {"s3:CreateBucket": 1, "s3:PutObject": 1},
    }
    return json_reply(200, [entry | {"bucketName": name} for name in buckets])


def build(options):
    """The handler for `listen.serve`."""
    keys = {options.access_key: options.secret_key}

    def handle(request):
        args = [[decode(n.replace("+", " ")), decode(v.replace("+", " "))] for n, _, v in (p.partition("=") for p in request.query.split("&"))]
        action = dict(map(tuple, args)).get("Action", "")
        operation = f"{request.method} {request.path} {action}"
        verdict = verify(request, keys, datetime.now(timezone.utc))
        if not verdict.accepted:
            reply = json_reply(STATUS.get(verdict.code, 403), {"code": verdict.code, "message": verdict.reason})
        elif request.method == "POST" and request.path == "/buckets" and action == "ListMetrics":
            reply = list_metrics(request)
        else:
            reply = json_reply(404, {"code": "MethodNotAllowed", "message": operation})
        return verdict, reply, operation, args

    return handle


def selftest(report):
    """Every header vector of service s3: those of s3v4_header.json and UTAPI's own in sigv4_generic.json."""
    vectors = report.vectors("s3v4_header.json") + [v for v in report.vectors("sigv4_generic.json") if "utapi" in v["name"]]
    for vector in vectors:
        sent, expected, credentials = vector["request"], vector["expected"], vector["credentials"]
        body = base64.b64decode(sent["body_b64"]) if "body_b64" in sent else sent["body"].encode()
        timestamp = vector["clock"].replace("-", "").replace(":", "")
        headers = [tuple(h) for h in sent["headers"] if h[0].lower() not in ("x-amz-date", "x-amz-content-sha256")]
        headers += [("x-amz-date", timestamp), ("x-amz-content-sha256", expected["payload_hash"])]
        if "session_token" in credentials and not any(n.lower() == "x-amz-security-token" for n, _ in headers):
            headers.append(("x-amz-security-token", credentials["session_token"]))
        headers.append(("Authorization", expected["authorization"]))
        request = Request(sent["method"], sent["url"], headers, body)
        keys = {credentials["access_key"]: credentials["secret_key"]}
        now = datetime.fromisoformat(vector["clock"].replace("Z", "+00:00"))
        verdict = verify(request, keys, now, payload_is_digest=False)
        report.check(vector["name"], verdict.accepted, verdict.reason)
        same = verdict.string_to_sign == expected["canonical_request"]
        report.check(vector["name"] + " canonical request", same, verdict.string_to_sign)
        wrong = {credentials["access_key"]: credentials["secret_key"] + "x"}
        extra = Request(sent["method"], sent["url"], [*headers, ("X-Amz-Extra", "1")], body)
        other_body = Request(sent["method"], sent["url"], headers, body + b"!")
        refused = [
            ("wrong secret", request, wrong, now),
            ("unknown key", request, {}, now),
            ("a late clock", request, keys, now + timedelta(minutes=16)),
            ("an unsigned x-amz header", extra, keys, now),
            ("another body", other_body, keys, now),
        ]
        for what, spoiled, known, clock in refused:
            report.check(f"{vector['name']} refuses {what}", not verify(spoiled, known, clock).accepted, "accepted")


if __name__ == "__main__":
    run("utapi", lambda parser: None, build, selftest)
