"""S3 clients that change nothing but their endpoint and their keys: local keys, verified, and signed anew for the server.

Every library signs as it does by default, with SigV4 or SigV2, in headers, in URLs, in chunks; the upstream speaks one of
them, so half of the calls are translated. With one character of the secret changed, or under a key that nobody gave out,
each library must say what it says to a real server, and nothing may be sent on. Usage: local_keys.py swift|minio v2|v4
"""

import socket
import subprocess
import sys
import time
from urllib.parse import unquote

from local import FLIPPED, KEY, SECOND, UNKNOWN, Log
from s3_clients import BODY, DENIED, KEYS, NO_CODE, NO_KEYS, UNKNOWN_KEY, Aws, Boto3, Curl, Rclone, all_denied, attempt, big_file, names_for, round_trip, show
from s3_own_keys import AwsSdkJs, Minio, S3cmd
from s3_server import SERVERS, chunked
from table import row
from world import CERTIFICATE, WORK, endpoint, exchange, gateway_port, tls_endpoint

# curl signs a path as it is spelled, and no query that it did not sort.
PLAIN = ["plain.txt", "dir/file"]


class SigningCurl(Curl):
    """curl --aws-sigv4, which asks for the digest of what it sends."""

    def __init__(self, url, keys):
        unsigned = ("-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD")
        super().__init__(url, "curl --aws-sigv4, local key", options=("--aws-sigv4", "aws:amz:us-east-1:s3", "--user", ":".join(keys), *unsigned))


def find_buckets_here():
    """Names under s3.internal lead to this machine, as the DNS would have it where buckets are named in hosts."""
    resolve = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **more: resolve("127.0.0.1" if str(host).endswith("s3.internal") else host, *rest, **more)


def callers(name, keys):
    """(caller, bucket, keys of objects, whether it also uploads 20 MiB): every library in every way that it signs.

    In paths boto3's SigV2 works for objects only: of a bucket it signs `/bucket/` and sends `/bucket`, which Swift and
    MinIO refuse from it as well.
    """
    plain, tls, hosted = endpoint(name), tls_endpoint(name), f"http://s3.internal:{gateway_port(name)}"
    yield Boto3(plain, keys=keys), "boto3", KEYS, True
    yield Boto3(hosted, keys=keys, addressing="virtual"), "boto3hosted", KEYS[:3], False
    yield Boto3(hosted, keys=keys, signature="s3", addressing="virtual"), "boto3v2", KEYS, True
    yield Boto3(tls, keys=keys, authority=CERTIFICATE), "boto3tls", KEYS[:3], True
    yield Aws(plain, keys=keys), "aws", KEYS[:2], True
    yield Aws(tls, keys=keys, authority=CERTIFICATE), "awstls", KEYS[:2], True
    yield S3cmd(plain, keys=keys), "s3cmd", KEYS, True
    yield S3cmd(plain, "--signature-v2", keys=keys), "s3cmdv2", KEYS[:3], True
    yield Minio(plain, keys=keys), "miniopy", KEYS, True
    yield Minio(tls, keys=keys, authority=CERTIFICATE), "miniopytls", KEYS[:3], False
    yield Rclone(plain, keys=keys), "rclone", [key for key in KEYS if "//" not in key], True
    yield Rclone(plain, keys=keys, v2=True), "rclonev2", KEYS[:3], False
    yield SigningCurl(plain, keys), "curl", PLAIN, False


def works(server, version):
    """Each caller's whole list, and who the log says it was."""
    route, name = f"{server}, s3-{version}, local key", f"local-{server}-{version}"
    log = Log(name)
    for caller, bucket, keys, big in callers(name, KEY):
        round_trip(caller, route, f"{bucket}-{version}", names_for(server, keys), big=big)
        row(caller.name, route, "who it was, in the log", {("job", "keys", KEY[0])}, log.proofs())
    for url, transport in ((endpoint(name), ""), (tls_endpoint(name), ", TLS")):
        with AwsSdkJs(url, keys=KEY, authority=CERTIFICATE) as caller:
            bucket = f"sdkjs{len(transport)}-{version}"
            round_trip(caller, route + transport, bucket, names_for(server, KEYS[:3] if transport else KEYS), big=not transport)
            attempt(caller.create, bucket)
            row(caller.name, route + transport, "put from a stream", "done", show(attempt(caller.put_stream, bucket, "stream", big_file())))
            row(caller.name, route + transport, "get what came as a stream", show(big_file().read_bytes()), show(attempt(caller.get, bucket, "stream")))
            attempt(caller.delete, bucket, "stream")
            row(caller.name, route + transport, "delete bucket", "done", show(attempt(caller.remove, bucket)))
    log.since_last()
    row("boto3", route, "the second key of the client", [], attempt(lambda: Boto3(endpoint(name), keys=SECOND)._call("list_buckets")["Buckets"]))
    row("boto3", route, "who it was, in the log", {("job", "keys", SECOND[0])}, log.proofs())


def fails(server, version):
    """The same calls with a spoiled secret and with an unknown key; nothing is sent on, nothing is there afterwards."""
    name, log = f"local-{server}-{version}", Log(f"local-{server}-{version}")
    for what, keys, code, reason in (("one character of the secret changed", FLIPPED, DENIED, "signature-mismatch"), ("an unknown key", UNKNOWN, UNKNOWN_KEY, "unknown-access-key")):
        route = f"{server}, s3-{version}, {what}"
        for caller, bucket, _, _ in callers(name, keys):
            if keys is UNKNOWN and bucket.endswith(("tls", "hosted")):
                continue  # the same libraries once are enough
            all_denied(caller, route, f"{bucket}-bad", code)
            # s3cmd finds out the region from a refusal before it signs in earnest.
            row(caller.name, route, "every call refused, none sent on", {reason}, log.refusals() - ({"wrong-scope"} if isinstance(caller, S3cmd) else set()))
        with AwsSdkJs(endpoint(name), keys=keys) as caller:
            all_denied(caller, route, "sdkjs-bad", code)
            row(caller.name, route, "every call refused, none sent on", {reason}, log.refusals())
    access = SERVERS[server]
    straight = Boto3(f"http://127.0.0.1:{access[0]}", keys=access[1:])
    row("boto3", f"{server}, straight", "no bucket of the refused calls is there", [], [bucket["Name"] for bucket in straight._call("list_buckets")["Buckets"] if bucket["Name"].endswith("-bad")])
    # Swift does not say that it does not know a key.
    refused = f"error: {DENIED if server == 'swift' else UNKNOWN_KEY}"
    row("boto3", f"{server}, straight", "a local key is none of the server's", refused, attempt(Boto3(f"http://127.0.0.1:{access[0]}", keys=KEY).list, "any"))
    unsigned = exchange(gateway_port(name), "GET", "/")
    row("raw", f"{server}, s3-{version}", "a call without a signature", (403, True, {"not-authenticated"}), (unsigned.status, "<Code>AccessDenied</Code>" in unsigned.text, log.refusals()))


def fetch(url, *options):
    """What curl gets from a presigned URL: the status, and the body or an S3 code."""
    done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code}", *options, url], env=NO_KEYS, capture_output=True, timeout=60)
    body, _, status = done.stdout.rpartition(b"\n")
    with open(WORK / "answers.log", "ab") as kept:
        kept.write(body + done.stderr)
    text = body.decode("utf-8", "replace")
    return f"{status.decode()} {text.split('<Code>')[1].split('</Code>')[0] if '<Code>' in text else text}".strip()


def presigned(server, version):
    """URLs that a library has signed, used by a curl that knows no key."""
    name, log = f"local-{server}-{version}", Log(f"local-{server}-{version}")
    bucket, key, file = f"presigned-{version}", "ü +/x.txt", WORK / "presigned.bin"
    file.write_bytes(BODY)
    put = ("-T", str(file), "-H", "Content-Type:", "-H", "Expect:")
    for signature in ("s3v4", "s3"):
        route = f"{server}, s3-{version}, presigned {signature}"
        caller, owner = Boto3(endpoint(name), keys=KEY, signature=signature), Boto3(endpoint(name), keys=KEY)
        attempt(owner.create, bucket)
        row("boto3", route, "put and get of an object, signed in headers", ["done", show(BODY)], [show(attempt(caller.put, bucket, key, BODY)), show(attempt(caller.get, bucket, key))])
        attempt(owner.delete, bucket, key)
        row("curl", route, "PUT", "200", fetch(caller.presign("put_object", bucket, key, 60), *put))
        url = caller.presign("get_object", bucket, key, 60)
        remember(url)
        row("curl", route, "GET", f"200 {BODY.decode()}", fetch(url))
        disposed = caller.presign("get_object", bucket, key, 60, ResponseContentType="text/x-local")
        row("curl", route, "GET with response-content-type", f"200 {BODY.decode()}", fetch(disposed))
        row("curl", route, "who it was, in the log", {("job", "keys", KEY[0])}, log.proofs())
        bad = {
            "another object": url.replace("x.txt", "y.txt"),
            "another method": caller.presign("head_object", bucket, key, 60),
            "a spoiled signature": spoiled(url),
            "one character of the secret changed": Boto3(endpoint(name), keys=FLIPPED, signature=signature).presign("get_object", bucket, key, 60),
            "another response-content-type": disposed.replace("x-local", "html"),
        }
        for what, broken in bad.items():
            row("curl", route, f"{what}: refused", "403 SignatureDoesNotMatch", fetch(broken))
        row("curl", route, "none of them sent on", {"signature-mismatch"}, log.refusals())
        row("curl", route, "an unknown key: refused", "403 InvalidAccessKeyId", fetch(Boto3(endpoint(name), keys=UNKNOWN, signature=signature).presign("get_object", bucket, key, 60)))
        short, endless = caller.presign("get_object", bucket, key, 1), caller.presign("get_object", bucket, key, 8 * 24 * 3600)
        time.sleep(2.1)
        row("curl", route, "expired: refused", "403 AccessDenied", fetch(short))
        answer = fetch(endless)
        row("curl", route, "for longer than a week: refused", "403 or 400", answer, good=answer.split()[0] in ("400", "403"))
        row("curl", route, "none of them sent on", False, "forwarded" in log.refusals())
        attempt(owner.delete, bucket, key)
        row("boto3", route, "delete bucket", "done", show(attempt(owner.remove, bucket)))
    command = Aws(endpoint(name), keys=KEY)
    route = f"{server}, s3-{version}, aws s3 presign"
    attempt(command.create, bucket)
    attempt(command.put, bucket, "plain", BODY)
    url = attempt(command._run, "s3", "presign", f"s3://{bucket}/plain", "--expires-in", "60")
    row("curl", route, "GET", f"200 {BODY.decode()}", fetch(url.decode().strip()) if isinstance(url, bytes) else url)
    attempt(command.delete, bucket, "plain")
    row("aws", route, "delete bucket", "done", show(attempt(command.remove, bucket)))


def remember(url):
    """Has the leak check look for the signature in a URL."""
    with open(WORK / "canaries", "a", encoding="utf-8") as canaries:
        canaries.write(unquote(url.split("Signature=")[-1].split("&")[0]) + "\n")


def spoiled(url):
    """The URL with one character of its signature changed: one that stands for itself, so that it stays a signature."""
    name = "X-Amz-Signature=" if "X-Amz-Signature=" in url else "Signature="
    at = url.index(name) + len(name)
    while "%" in url[at - 2 : at + 1]:
        at += 1
    return url[:at] + ("a" if url[at] != "a" else "b") + url[at + 1 :]


def signed_chunks(server, version):
    """Uploads whose every chunk is signed with the local key, and with each of them spoiled once."""
    route, name = f"{server}, s3-{version}, signed chunks", f"local-{server}-{version}"
    port, log = gateway_port(name), Log(name)
    bucket, caller = f"chunks-{version}", Boto3(endpoint(name), keys=KEY)
    attempt(caller.create, bucket)
    url = f"http://127.0.0.1:{port}/{bucket}/chunks"
    # Four chunks: two more than any head start that an upload could get.
    data, old = big_file().read_bytes()[: 3 * 64 * 1024 + 17], b"what was there before"

    def send(headers, chunks):
        answer = exchange(port, "PUT", f"/{bucket}/chunks", list(headers.items()), b"".join(chunks))
        return f"{answer.status} {answer.text.split('<Code>')[1].split('</Code>')[0] if '<Code>' in answer.text else answer.text[:60]}".strip()

    row("raw", route, "good", "200", send(*chunked(KEY, url, data)))
    row("raw", route, "the same bytes come back", show(data), show(attempt(caller.get, bucket, "chunks")))
    log.since_last()
    row("raw", route, "one character of the secret changed", DENIED, send(*chunked(FLIPPED, url, data)))
    row("raw", route, "… and none sent on", {"signature-mismatch"}, log.refusals())
    attempt(caller.put, bucket, "chunks", old)
    headers, chunks = chunked(KEY, url, data)
    for number in range(len(chunks)):
        broken, at = [*chunks], chunks[number].index(b"=") + 5
        broken[number] = broken[number][:at] + (b"0" if broken[number][at : at + 1] != b"0" else b"1") + broken[number][at + 1 :]
        row("raw", route, f"the signature of chunk {number} spoiled", DENIED, send(headers, broken))
        row("raw", route, "… nothing was stored", show(old), show(attempt(caller.get, bucket, "chunks")))
    changed = [*chunks]
    changed[1] = changed[1][:-3] + bytes([changed[1][-3] ^ 1]) + changed[1][-2:]
    row("raw", route, "one bit of data changed", DENIED, send(headers, changed))
    swapped = [chunks[1], chunks[0], *chunks[2:]]
    row("raw", route, "two chunks swapped", DENIED, send(headers, swapped))
    row("raw", route, "a chunk left out", True, send(headers, [chunks[0], *chunks[2:]]).split()[0] in ("400", "403"))
    row("raw", route, "… nothing was stored", show(old), show(attempt(caller.get, bucket, "chunks")))
    attempt(caller.delete, bucket, "chunks")
    row("boto3", route, "delete bucket", "done", show(attempt(caller.remove, bucket)))


def minio_go(server, version):
    """The Go library, which signs chunks by code of its own, trailers too, and sends trailers over TLS unsigned."""
    program = WORK / "minio-go"
    if not program.exists():
        return
    name = f"local-{server}-{version}"
    log, trust = Log(name), NO_KEYS | {"SSL_CERT_FILE": str(CERTIFICATE)}
    for url, how in ((endpoint(name), "v4"), (endpoint(name), "v4-trailer"), (tls_endpoint(name), "v4-trailer"), (endpoint(name), "v2")):
        caller = f"minio-go, {how}{', TLS' if url.startswith('https') else ''}"
        for what, keys, expected in (("local key", KEY, "done"), ("one character of the secret changed", FLIPPED, DENIED), ("an unknown key", UNKNOWN, UNKNOWN_KEY)):
            log.since_last()
            done = subprocess.run([program, url, *keys, how, f"minio-go-{how}-{version}", big_file()], env=trust, capture_output=True, text=True, timeout=300)
            with open(WORK / "answers.log", "a", encoding="utf-8") as kept:
                kept.write(done.stdout + done.stderr)
            row(caller, f"{server}, s3-{version}, {what}", "a bucket's life", expected, done.stdout.strip() or done.stderr.strip()[-200:])
            if keys is not KEY:
                row(caller, f"{server}, s3-{version}, {what}", "sent on", False, "forwarded" in log.refusals())


def main(server, version):
    find_buckets_here()
    works(server, version)
    if server == "swift":  # the refusals are the gateway's own, whatever server is behind it
        fails(server, version)
    presigned(server, version)
    signed_chunks(server, version)
    minio_go(server, version)


if __name__ == "__main__":
    main(*sys.argv[1:])
