"""Signs a request without a body as an S3 client does (SigV4, in headers), for callers that have a local key."""

import hashlib
import hmac
import time

NO_BODY = hashlib.sha256(b"").hexdigest()


def sign(method, host, target, others, access_key, secret_key, region, now=None):
    """The headers to send beside `others`, of which those of Amazon's must be signed too. The target is taken as it
    is: its path and values are encoded already.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    path, _, query = target.partition("?")
    pairs = sorted(pair if "=" in pair else f"{pair}=" for pair in query.split("&") if pair)
    own = {"host": host, "x-amz-content-sha256": NO_BODY, "x-amz-date": stamp}
    given = dict((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in others))
    headers = dict(sorted({**{name: value for name, value in given.items() if name.startswith("x-amz-")}, **own}.items()))
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = "\n".join([method, path, "&".join(pairs), lines, names, NO_BODY])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in [*scope.split("/"), text]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    credential = f"Credential={access_key}/{scope}"
    return [
        f"Authorization: AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={key.hex()}",
        *(f"{name}: {value}" for name, value in own.items() if name != "host"),
    ]
