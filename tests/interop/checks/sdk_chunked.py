"""Uploads in aws-chunked, the default of today's SDKs: trailers with checksums, signed chunks, and what is wrong with them.

The SDKs run with their defaults: awscli and boto3 over TLS, the AWS SDK for JavaScript from a stream. What they never
send (spoiled checksums, lengths and chunks) goes in as raw bytes and must be refused before anything is stored.
Usage: sdk_chunked.py swift|minio v2|v4
"""

import base64
import functools
import hashlib
import random
import socket
import sys
import zlib

from s3_clients import KEYS, Aws, Boto3, Curl, all_denied, attempt, big_file, names_for, round_trip, show
from s3_own_keys import AwsSdkJs, THROWAWAY
from s3_server import chunked
from table import row
from world import CERTIFICATE, endpoint, exchange, gateway_port, tls_endpoint

SMALL = b"small enough for one buffer"
# More than any buffer on the way, so that the upstream has seen the start before the end turns out wrong.
LARGE = random.Random(3).randbytes(3 * 512 * 1024 + 11)
OLD = b"what was there before"


@functools.cache
def table_driven(reflected_polynomial, width, data):
    """A reflected CRC with all bits set at start and end, by its definition; slow, and that is no matter here."""
    mask = (1 << width) - 1
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (reflected_polynomial if byte & 1 else 0)
        table.append(byte)
    value = mask
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return (value ^ mask).to_bytes(width // 8, "big")


CHECKSUMS = {
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "crc32c": lambda data: table_driven(0x82F63B78, 32, data),
    "crc64nvme": lambda data: table_driven(0x9A6C9329AC4BC9B5, 64, data),
    "sha1": lambda data: hashlib.sha1(data).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}


def unsigned_chunks(data, size=64 * 1024):
    """The chunks of a body, the last and empty one included, without its closing empty line."""
    return b"".join(f"{len(data[i : i + size]):x}\r\n".encode() + data[i : i + size] + b"\r\n" for i in range(0, len(data), size)) + b"0\r\n"


def upload(data, *, algorithm="crc32", checksum=None, chunks=None, trailer=None, length=None):
    """(headers, body) of a STREAMING-UNSIGNED-PAYLOAD-TRAILER upload; every argument spoils one thing."""
    checksum = CHECKSUMS[algorithm](data) if checksum is None else checksum
    trailer = f"x-amz-checksum-{algorithm}:{base64.b64encode(checksum).decode()}\r\n".encode() if trailer is None else trailer
    headers = [
        ("Content-Encoding", "aws-chunked"),
        ("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("X-Amz-Decoded-Content-Length", str(len(data) if length is None else length)),
        ("X-Amz-Trailer", f"x-amz-checksum-{algorithm}"),
    ]
    return headers, (unsigned_chunks(data) if chunks is None else chunks) + trailer + b"\r\n"


def code(answer):
    """The code in an S3 error."""
    return answer.text.split("<Code>")[1].split("</Code>")[0] if "<Code>" in answer.text else answer.text[:100]


def accepted(route, port, bucket):
    """Every checksum, every way to cut, every encoding of the upload."""
    def good(what, headers, body, data):
        put = exchange(port, "PUT", f"/{bucket}/good", headers, body)
        row("raw", route, f"{what}: put", 200, put.status if put.status == 200 else f"{put.status} {code(put)}")
        got = exchange(port, "GET", f"/{bucket}/good")
        row("raw", route, f"{what}: the same bytes come back", show(data), show(got.body))
        row("raw", route, f"{what}: no trace of the encoding", True, "aws-chunked" not in got.headers.get("content-encoding", ""))
        exchange(port, "DELETE", f"/{bucket}/good")

    for size, data in (("empty", b""), ("small", SMALL), ("large", LARGE)):
        for algorithm in CHECKSUMS:
            good(f"trailer {algorithm}, {size}", *upload(data, algorithm=algorithm), data)
    # Servers want 8 KiB in each chunk but the last; the gateway cuts anew and need not pass such a rule on.
    good("chunks of one byte", *upload(SMALL, chunks=unsigned_chunks(SMALL, 1)), SMALL)
    good("upper-case and padded chunk size", *upload(SMALL, chunks=f"00{len(SMALL):X}\r\n".encode() + SMALL + b"\r\n0\r\n"), SMALL)
    headers, body = upload(SMALL)
    headers[0] = ("Content-Encoding", "aws-chunked,identity")
    good("a second content coding", headers, body, SMALL)
    # Chunks signed with a key that no server knows: the gateway needs no key here, so it strips what it cannot verify.
    for size, data in (("small", SMALL), ("large", LARGE)):
        headers, chunks = chunked(THROWAWAY, f"http://127.0.0.1:{port}/{bucket}/good", data)
        good(f"chunks signed with a throw-away key, {size}", list(headers.items()), b"".join(chunks), data)


def refused(route, port, bucket):
    """What does not hold ends with the S3 error, and what was there before stays."""
    def bad(what, expected, headers, body):
        exchange(port, "PUT", f"/{bucket}/bad", body=OLD)
        put = exchange(port, "PUT", f"/{bucket}/bad", headers, body)
        row("raw", route, f"{what}: refused", expected, f"{put.status} {code(put)}", good=f"{put.status} {code(put)}" in expected.split(" or "))
        row("raw", route, f"{what}: by the gateway", True, put.headers.get("x-countersign-error") is not None)
        row("raw", route, f"{what}: nothing was stored", show(OLD), show(exchange(port, "GET", f"/{bucket}/bad").body))

    for size, data in (("small", SMALL), ("large", LARGE)):
        for algorithm, made in CHECKSUMS.items():
            wrong = bytes([made(data)[0] ^ 1]) + made(data)[1:]
            bad(f"wrong {algorithm}, {size}", "400 BadDigest", *upload(data, algorithm=algorithm, checksum=wrong))
        bad(f"a checksum that is no base64, {size}", "400 InvalidRequest or 400 MalformedTrailerError or 400 BadDigest", *upload(data, trailer=b"x-amz-checksum-crc32:!!!!\r\n"))
        bad(f"another trailer than announced, {size}", "400 MalformedTrailerError or 400 InvalidRequest", *upload(data, trailer=b"x-amz-checksum-sha1:AAAA\r\n"))
        bad(f"the announced trailer is missing, {size}", "400 MalformedTrailerError or 400 InvalidRequest or 400 IncompleteBody", *upload(data, trailer=b""))
        bad(f"fewer bytes than declared, {size}", "400 IncompleteBody", *upload(data, length=len(data) + 1))
        bad(f"more bytes than declared, {size}", "400 IncompleteBody or 400 InvalidRequest", *upload(data, length=len(data) - 1))
        bad(f"a chunk size that is no number, {size}", "400 InvalidRequest or 400 IncompleteBody", *upload(data, chunks=unsigned_chunks(data)[:-3] + b"zz\r\n"))
        bad(f"no empty chunk at the end, {size}", "400 IncompleteBody or 400 InvalidRequest or 400 MalformedTrailerError", *upload(data, chunks=unsigned_chunks(data)[:-3], trailer=b""))
    headers, body = upload(SMALL)
    bad("a huge chunk size", "400 InvalidRequest or 400 IncompleteBody", headers, b"ffffffffffffffffff\r\n" + body)
    put = exchange(port, "PUT", f"/{bucket}/bad", [header for header in headers if header[0] != "X-Amz-Decoded-Content-Length"], body)
    row("raw", route, "no decoded length: refused", "411 MissingContentLength", f"{put.status} {code(put)}")
    for size, data in (("small", SMALL), ("large", LARGE)):
        headers, body = upload(data)
        exchange(port, "PUT", f"/{bucket}/bad", body=OLD)
        leave(port, f"/{bucket}/bad", headers, body, len(body) // 2)
        row("raw", route, f"a caller that leaves half-way, {size}: nothing was stored", show(OLD), show(exchange(port, "GET", f"/{bucket}/bad").body))


def leave(port, target, headers, body, after):
    """Sends a head and the first bytes of a body, then is gone."""
    head = f"PUT {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
        wire.sendall(head.encode() + body[:after])


def forms(server, form):
    """A SigV4 route that sends on what came in chunks as `form`: the SDKs' largest upload, and the raw ones."""
    route, name = f"{server}, s3-v4, upstream-chunked = {form}", f"{server}-v4-{form}"
    caller, bucket = Aws(tls_endpoint(name), authority=CERTIFICATE), f"chunked-aws-{form}"
    attempt(caller.create, bucket)
    row(caller.name, f"{route}, TLS", "multipart 20 MiB", "done", show(attempt(caller.multipart, bucket, big_file())))
    row(caller.name, f"{route}, TLS", "get 20 MiB", show(big_file().read_bytes()), show(attempt(caller.get, bucket, "big.bin")))
    attempt(caller.delete, bucket, "big.bin")
    row(caller.name, f"{route}, TLS", "delete bucket", "done", show(attempt(caller.remove, bucket)))
    raw(route, gateway_port(name), f"chunked-raw-{form}")


def raw(route, port, bucket):
    """What only raw bytes can say."""
    curl = Curl(f"http://127.0.0.1:{port}")
    attempt(curl.create, bucket)
    accepted(route, port, bucket)
    refused(route, port, bucket)
    attempt(curl.delete, bucket, "bad")
    row("curl", route, "delete bucket", "done", show(attempt(curl.remove, bucket)))


def main(server, version):
    route, name = f"{server}, s3-{version}", f"{server}-{version}"
    plain, tls, wrong = endpoint(name), tls_endpoint(name), tls_endpoint(f"{name}-wrong")
    keys = names_for(server, KEYS)
    for make, some in ((Aws, keys[:2]), (Boto3, keys)):
        bucket = f"chunked-{make.__name__.lower()}-{version}"
        round_trip(make(tls, authority=CERTIFICATE), f"{route}, TLS", bucket, some)
        all_denied(make(wrong, authority=CERTIFICATE), f"{route}, TLS, wrong secret", f"{bucket}-wrong")
    for transport, url in (("", plain), (", TLS", tls)):
        for own in (None, THROWAWAY):
            with AwsSdkJs(url, keys=own, authority=CERTIFICATE) as caller:
                bucket = f"chunked-js{bool(own):d}{len(transport)}-{version}"
                attempt(caller.create, bucket)
                row(caller.name, route + transport, "put from a stream", "done", show(attempt(caller.put_stream, bucket, "stream", big_file())))
                row(caller.name, route + transport, "get what came as a stream", show(big_file().read_bytes()), show(attempt(caller.get, bucket, "stream")))
                attempt(caller.delete, bucket, "stream")
                row(caller.name, route + transport, "delete bucket", "done", show(attempt(caller.remove, bucket)))
    raw(route, gateway_port(name), f"chunked-raw-{version}")
    if version == "v4":
        for form in ("trailer", "none"):
            forms(server, form)


if __name__ == "__main__":
    main(*sys.argv[1:])
