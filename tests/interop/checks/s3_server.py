"""The S3 servers themselves: each good request is accepted and each spoiled one refused, straight, without a gateway.

What the other checks prove rests on this: a server that took a wrong signature would make every row of theirs worthless.
Signed by botocore (SigV2, SigV4) and, for chunks, by the rule of the Amazon S3 reference. Usage: s3_server.py swift|minio
"""

import hashlib
import hmac
import os
import sys
import urllib.error
import urllib.request

from botocore.auth import HmacV1Auth, S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from table import row

SERVERS = {
    "swift": (os.environ["SWIFT_PORTS"].split()[0], os.environ["SWIFT_ACCESS_KEY"], os.environ["SWIFT_SECRET_KEY"]),
    "minio": (os.environ["MINIO_PORT"], os.environ["MINIO_ACCESS_KEY"], os.environ["MINIO_SECRET_KEY"]),
}
CHUNK = 64 * 1024
EMPTY = hashlib.sha256(b"").hexdigest()


def send(method, url, headers, body):
    """The status; nothing is added that would matter to a signature."""
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": "text/plain"} | dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def signed(scheme, keys, method, url, body, headers=()):
    """The headers of a request that botocore has signed."""
    request = AWSRequest(method, url, headers={"Content-Type": "text/plain", "X-Amz-Meta-Note": "good", **dict(headers)}, data=body)
    credentials = Credentials(*keys)
    if scheme == "SigV2":
        HmacV1Auth(credentials).add_auth(request)
    else:
        request.context["payload_signing_enabled"] = True
        S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    return dict(request.headers.items())


class Seed(S3SigV4Auth):
    """The head of an upload in signed chunks."""

    def payload(self, request):
        return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def chunked(keys, url, body):
    """(headers, chunks): STREAMING-AWS4-HMAC-SHA256-PAYLOAD, each chunk's signature chained to the one before."""
    request = AWSRequest("PUT", url, headers={"Content-Type": "text/plain", "Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": str(len(body))})
    Seed(Credentials(*keys), "s3", "us-east-1").add_auth(request)
    stamp, previous = request.headers["X-Amz-Date"], request.headers["Authorization"].rsplit("Signature=", 1)[1]
    key, scope = b"AWS4" + keys[1].encode(), f"{stamp[:8]}/us-east-1/s3/aws4_request"
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    chunks = []
    for start in [*range(0, len(body), CHUNK), len(body)]:
        data = body[start : start + CHUNK]
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, previous, EMPTY, hashlib.sha256(data).hexdigest()])
        previous = hmac.new(key, text.encode(), "sha256").hexdigest()
        chunks.append(f"{len(data):x};chunk-signature={previous}\r\n".encode() + data + b"\r\n")
    return dict(request.headers.items()), chunks


def main(server):
    port, *keys = SERVERS[server]
    bucket = f"http://127.0.0.1:{port}/server-check"
    wrong = [keys[0], keys[1] + "x"]

    def judge(what, expected, status):
        row("botocore", f"{server}, straight", what, expected, "accepted" if status < 300 else "refused" if status in (400, 403) else status)

    judge("create bucket", "accepted", send("PUT", bucket, signed("SigV4", keys, "PUT", bucket, b""), b""))
    for scheme in ("SigV2", "SigV4"):
        url, body = f"{bucket}/{scheme}", b"body"
        good = signed(scheme, keys, "PUT", url, body)
        judge(f"{scheme}, good", "accepted", send("PUT", url, good, body))
        judge(f"{scheme}, wrong secret", "refused", send("PUT", url, signed(scheme, wrong, "PUT", url, body), body))
        judge(f"{scheme}, changed x-amz- header", "refused", send("PUT", url, good | {"X-Amz-Meta-Note": "bad"}, body))
        judge(f"{scheme}, changed path", "refused", send("PUT", url + "x", good, body))
        read = signed(scheme, keys, "GET", url, b"")
        judge(f"{scheme}, good GET", "accepted", send("GET", url, read, None))
        judge(f"{scheme}, added sub-resource", "refused", send("GET", url + "?response-content-type=a", read, None))
        judge(f"{scheme}, changed method", "refused", send("DELETE", url, read, None))
        if scheme == "SigV4":
            judge("SigV4, changed body", "refused", send("PUT", url, good, b"BODY"))
    body, url = os.urandom(3 * CHUNK + 17), f"{bucket}/chunks"
    headers, chunks = chunked(keys, url, body)
    judge("signed chunks, good", "accepted", send("PUT", url, headers, b"".join(chunks)))
    for number in range(len(chunks)):
        spoiled = [*chunks]
        at = spoiled[number].index(b"=") + 5
        spoiled[number] = spoiled[number][:at] + (b"0" if spoiled[number][at : at + 1] != b"0" else b"1") + spoiled[number][at + 1 :]
        judge(f"signed chunks, signature {number} spoiled", "refused", send("PUT", url, headers, b"".join(spoiled)))
    data = [*chunks]
    data[1] = data[1][:-3] + bytes([data[1][-3] ^ 1]) + data[1][-2:]
    judge("signed chunks, one bit of data changed", "refused", send("PUT", url, headers, b"".join(data)))
    for key in ("SigV2", "SigV4", "chunks"):
        send("DELETE", f"{bucket}/{key}", signed("SigV4", keys, "DELETE", f"{bucket}/{key}", b""), None)
    judge("delete bucket", "accepted", send("DELETE", bucket, signed("SigV4", keys, "DELETE", bucket, b""), None))


if __name__ == "__main__":
    main(*sys.argv[1:])
