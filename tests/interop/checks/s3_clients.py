"""Real S3 clients without keys, through SigV2 and SigV4 routes, against real servers that verify.

aws (the command line), boto3, curl and rclone each create, write, read, list and delete; behind a route with a wrong
secret the same calls must fail with the server's own SignatureDoesNotMatch. Usage: s3_clients.py swift|minio v2|v4
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from table import row
from world import WORK, endpoint, exchange, gateway_port

KEYS = ["plain.txt", "with space", "a+b", "100%", "%2F literal", "ünï/日本/😀", "dir//double", "~tilde", "star*", "(x)!'$&,;:=@", "q?m#h"]
# Names that MinIO refuses by itself (`//` and dot segments); with a bucket in the host name it even cleans them before it
# verifies a SigV2 signature.
NOT_FOR_MINIO = ("//", "..")
BODY = b"0123456789 the quick brown fox"
BIG = 20 * 1024 * 1024
NO_KEYS = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "RCLONE_")) and not k.endswith(("_KEY", "_SECRET"))}
DENIED = "403 SignatureDoesNotMatch"
UNKNOWN_KEY = "403 InvalidAccessKeyId"
# A refused HEAD has no body to name the code in.
NO_CODE = "403 without a code"


def big_file():
    """20 MiB that compress badly and repeat nothing, the same in every run."""
    path = WORK / "big.bin"
    if not path.exists():
        path.write_bytes(random.Random(20).randbytes(BIG))
    return path


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def denial(text):
    """Which refusal of a key a tool speaks of."""
    return next((code for code in (DENIED, UNKNOWN_KEY) if code.split()[1] in text), None)


class Aws:
    """The aws command line (awscli from PyPI): with `keys`, or with --no-sign-request."""

    def __init__(self, url, *, keys=None, authority=None, **environment):
        self.name = "aws, local key" if keys else "aws"
        # Today's default adds a CRC to every upload: a header over plain http, an aws-chunked trailer over TLS. It is
        # left on: the gateway must carry it.
        self._command = [str(Path(sys.executable).parent / "aws"), "--endpoint-url", url, "--region", "us-east-1"]
        if keys:
            environment |= {"AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1]}
        else:
            self._command.append("--no-sign-request")
        if authority:
            self._command += ["--ca-bundle", str(authority)]
        self._environment = NO_KEYS | {"AWS_CONFIG_FILE": str(WORK / "aws-config"), "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"} | environment
        Path(self._environment["AWS_CONFIG_FILE"]).write_text("[default]\ns3 =\n    addressing_style = path\n")

    def _run(self, *words):
        done = subprocess.run([*self._command, *map(str, words)], env=self._environment, capture_output=True, timeout=300)
        with open(WORK / "answers.log", "ab") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode != 0:
            text = done.stderr.decode("utf-8", "replace").strip()
            raise RuntimeError(denial(text) or (text.splitlines()[-1] if text else f"exit {done.returncode}"))
        return done.stdout

    def create(self, bucket):
        self._run("s3api", "create-bucket", "--bucket", bucket)

    def put(self, bucket, key, body):
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            self._run("s3api", "put-object", "--bucket", bucket, "--key", key, "--body", file.name)

    def get(self, bucket, key):
        with tempfile.NamedTemporaryFile() as file:
            self._run("s3api", "get-object", "--bucket", bucket, "--key", key, file.name)
            return Path(file.name).read_bytes()

    def get_range(self, bucket, key, first, last):
        with tempfile.NamedTemporaryFile() as file:
            self._run("s3api", "get-object", "--bucket", bucket, "--key", key, "--range", f"bytes={first}-{last}", file.name)
            return Path(file.name).read_bytes()

    def list(self, bucket):
        text = self._run("s3api", "list-objects-v2", "--bucket", bucket, "--query", "Contents[].Key", "--output", "json").decode()
        return json.loads(text) or []

    def multipart(self, bucket, path):
        self._run("s3", "cp", "--only-show-errors", path, f"s3://{bucket}/big.bin")

    def delete(self, bucket, key):
        self._run("s3api", "delete-object", "--bucket", bucket, "--key", key)

    def remove(self, bucket):
        self._run("s3api", "delete-bucket", "--bucket", bucket)


class Boto3:
    """boto3: with `keys` and a signature version, `s3v4` or `s3`, or with UNSIGNED."""

    def __init__(self, url, *, keys=None, signature="s3v4", addressing="path", authority=None, **settings):
        self.name = f"boto3, local key, {signature}{', bucket in the host' if addressing == 'virtual' else ''}" if keys else "boto3"
        style = Config(signature_version=signature if keys else UNSIGNED, s3={"addressing_style": addressing}, retries={"total_max_attempts": 1}, **settings)
        named = dict(zip(("aws_access_key_id", "aws_secret_access_key"), keys or ()))
        self._caller = boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=style, verify=str(authority) if authority else None, **named)

    def _call(self, operation, **arguments):
        try:
            return getattr(self._caller, operation)(**arguments)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            raise RuntimeError(f"{status} {error.response['Error']['Code']}") from None
        except BotoCoreError as error:
            raise RuntimeError(str(error)) from None

    def create(self, bucket):
        self._call("create_bucket", Bucket=bucket)

    def put(self, bucket, key, body):
        self._call("put_object", Bucket=bucket, Key=key, Body=body, ContentType="text/plain", Metadata={"note": "two   spaces"})

    def get(self, bucket, key):
        return self._call("get_object", Bucket=bucket, Key=key)["Body"].read()

    def get_range(self, bucket, key, first, last):
        return self._call("get_object", Bucket=bucket, Key=key, Range=f"bytes={first}-{last}")["Body"].read()

    def list(self, bucket):
        return [item["Key"] for item in self._call("list_objects_v2", Bucket=bucket).get("Contents", [])]

    def multipart(self, bucket, path):
        upload = self._call("create_multipart_upload", Bucket=bucket, Key="big.bin")["UploadId"]
        data, parts = Path(path).read_bytes(), []
        for number, start in enumerate(range(0, len(data), 5 * 1024 * 1024), 1):
            part = self._call("upload_part", Bucket=bucket, Key="big.bin", UploadId=upload, PartNumber=number, Body=data[start : start + 5 * 1024 * 1024])
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        self._call("complete_multipart_upload", Bucket=bucket, Key="big.bin", UploadId=upload, MultipartUpload={"Parts": parts})

    def delete(self, bucket, key):
        self._call("delete_objects", Bucket=bucket, Delete={"Objects": [{"Key": key}], "Quiet": True})

    def remove(self, bucket):
        self._call("delete_bucket", Bucket=bucket)

    def presign(self, operation, bucket, key, seconds, **more):
        """A URL with which anyone can do `operation` for so long."""
        return self._caller.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": key, **more}, ExpiresIn=seconds)


class Curl:
    """Plain curl; one instance may name buckets in the Host header instead of the path."""

    def __init__(self, url, name="curl", host=None, bucket_in_host=False, options=()):
        self.name, self._url, self._host, self._bucket_in_host, self._options = name, url, host, bucket_in_host, options

    def _run(self, bucket, key, *options, query=""):
        path = f"/{quote(key, safe='/')}" if self._bucket_in_host else f"/{bucket}/{quote(key, safe='/')}".rstrip("/" if not key else "")
        host = [] if self._host is None else ["-H", f"Host: {bucket}.{self._host}" if self._bucket_in_host else f"Host: {self._host}"]
        command = ["curl", "--silent", "--show-error", "--path-as-is", "--max-time", "120", "-w", "\n%{http_code}", *host, *self._options, *options, self._url + path + query]
        done = subprocess.run(command, env=NO_KEYS, capture_output=True, timeout=150)
        body, _, status = done.stdout.rpartition(b"\n")
        with open(WORK / "answers.log", "ab") as log:
            log.write((body if len(body) < 100_000 else b"") + done.stderr)
        if not 200 <= int(status or 0) < 300:
            text = body.decode("utf-8", "replace")
            code = text.split("<Code>")[1].split("</Code>")[0] if "<Code>" in text else text[:200] or done.stderr.decode()
            raise RuntimeError(f"{status.decode()} {code}")
        return body

    def create(self, bucket):
        self._run(bucket, "", "-X", "PUT")

    def put(self, bucket, key, body):
        self._run(bucket, key, "-T", self._file(body))

    def put_chunked(self, bucket, key, body):
        self._run(bucket, key, "-X", "PUT", "-H", "Transfer-Encoding: chunked", "--data-binary", "@" + self._file(body))

    def get(self, bucket, key):
        return self._run(bucket, key)

    def get_range(self, bucket, key, first, last):
        return self._run(bucket, key, "-r", f"{first}-{last}")

    def list(self, bucket):
        tree = ElementTree.fromstring(self._run(bucket, "", query="?list-type=2&max-keys=1000"))
        return [node.text for node in tree.iter() if node.tag.endswith("}Key") or node.tag == "Key"]

    def multipart(self, bucket, path):
        upload = ElementTree.fromstring(self._run(bucket, "big.bin", "-X", "POST", query="?uploads"))
        upload_id = next(node.text for node in upload.iter() if node.tag.endswith("UploadId"))
        data, parts = Path(path).read_bytes(), []
        for number, start in enumerate(range(0, len(data), 8 * 1024 * 1024), 1):
            chunk = data[start : start + 8 * 1024 * 1024]
            self._run(bucket, "big.bin", "-T", self._file(chunk), query=f"?partNumber={number}&uploadId={quote(upload_id, safe='')}")
            parts.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{hashlib.md5(chunk).hexdigest()}</ETag></Part>")
        done = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>".encode()
        self._run(bucket, "big.bin", "-X", "POST", "--data-binary", "@" + self._file(done), "-H", "Content-Type: application/xml", query=f"?uploadId={quote(upload_id, safe='')}")

    def delete(self, bucket, key):
        self._run(bucket, key, "-X", "DELETE")

    def remove(self, bucket):
        self._run(bucket, "", "-X", "DELETE")

    @staticmethod
    def _file(body):
        path = WORK / "upload.bin"
        path.write_bytes(body)
        return str(path)


class Rclone:
    """rclone from Debian, with `keys` and its SigV4 or SigV2; without keys it sends unsigned requests. It cannot name a
    key with `//`."""

    denials = {"multipart 20 MiB": NO_CODE}

    def __init__(self, url, *, keys=None, v2=False):
        self.name = f"rclone, local key{', SigV2' if v2 else ''}" if keys else "rclone"
        # It fails with "unsupported transport" while AWS_CA_BUNDLE is set; NO_KEYS holds no AWS_ variable.
        options = {"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": url, "REGION": "us-east-1", "FORCE_PATH_STYLE": "true", "LIST_VERSION": "2", "UPLOAD_CUTOFF": "5Mi", "CHUNK_SIZE": "5Mi", "ENV_AUTH": "false"}
        if keys:
            options |= {"ACCESS_KEY_ID": keys[0], "SECRET_ACCESS_KEY": keys[1], "V2_AUTH": str(v2).lower()}
        self._environment = NO_KEYS | {f"RCLONE_CONFIG_GW_{k}": v for k, v in options.items()} | {"RCLONE_CONFIG": "/dev/null", "RCLONE_RETRIES": "1", "RCLONE_LOW_LEVEL_RETRIES": "1"}

    def _run(self, *words, body=None):
        done = subprocess.run(["rclone", "-q", *map(str, words)], env=self._environment, input=body, capture_output=True, timeout=300)
        with open(WORK / "answers.log", "ab") as log:
            log.write(done.stderr)
        if done.returncode != 0:
            text = done.stderr.decode("utf-8", "replace").strip()
            if "status code: 403" in text:
                raise RuntimeError(denial(text) or NO_CODE)
            raise RuntimeError(text.splitlines()[-1] if text else f"exit {done.returncode}")
        return done.stdout

    def refused_delete(self, bucket, _key):
        """`deletefile` takes a 403 for "does not exist"; `delete` lists first and says what it met."""
        self._run("delete", f"gw:{bucket}")

    def create(self, bucket):
        self._run("mkdir", f"gw:{bucket}")

    def put(self, bucket, key, body):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
            self._run("copy", folder, f"gw:{bucket}")

    def get(self, bucket, key):
        return self._run("cat", f"gw:{bucket}/{key}")

    def get_range(self, bucket, key, first, last):
        return self._run("cat", "--offset", first, "--count", last - first + 1, f"gw:{bucket}/{key}")

    def list(self, bucket):
        return self._run("lsf", "-R", "--files-only", f"gw:{bucket}").decode().splitlines()

    def multipart(self, bucket, path):
        self._run("copyto", path, f"gw:{bucket}/big.bin")

    def delete(self, bucket, key):
        self._run("deletefile", f"gw:{bucket}/{key}")

    def remove(self, bucket):
        self._run("rmdir", f"gw:{bucket}")


def attempt(action, *arguments):
    """The result of a call, or its error as text."""
    try:
        return action(*arguments)
    except (RuntimeError, OSError, ValueError, StopIteration, subprocess.SubprocessError, ElementTree.ParseError) as error:
        return f"error: {error}"


def show(value):
    """A result as it stands in the table."""
    if value is None:
        return "done"
    if isinstance(value, bytes):
        return f"{len(value)} bytes, sha256 {digest(value)}" if len(value) > 100 else f"{value.decode('utf-8', 'replace')!r}"
    return value


def round_trip(caller, route, bucket, keys, *, big=True):
    """Every call of the list once, with the verdict of the bytes that came back."""
    def step(call, expected, action, *arguments):
        row(caller.name, route, call, show(expected), show(attempt(action, *arguments)))

    step("create bucket", None, caller.create, bucket)
    for key in keys:
        body = BODY + key.encode()
        step(f"put {key}", None, caller.put, bucket, key, body)
        step(f"get {key}", body, caller.get, bucket, key)
    step("put, zero bytes", None, caller.put, bucket, "empty", b"")
    step("get, zero bytes", b"", caller.get, bucket, "empty")
    if hasattr(caller, "get_range"):
        step("get range 2-5", BODY[2:6], caller.get_range, bucket, keys[0], 2, 5)
    row(caller.name, route, "list", sorted([*keys, "empty"]), sorted(got) if isinstance(got := attempt(caller.list, bucket), list) else got)
    if big:
        step("multipart 20 MiB", None, caller.multipart, bucket, big_file())
        step("get 20 MiB", big_file().read_bytes(), caller.get, bucket, "big.bin")
    for key in [*keys, "empty", *(["big.bin"] if big else [])]:
        step(f"delete {key}", None, caller.delete, bucket, key)
    step("list after delete", [], caller.list, bucket)
    step("delete bucket", None, caller.remove, bucket)


def all_denied(caller, route, bucket, code=DENIED):
    """The same calls behind a wrong secret, or with one."""
    calls = {
        "create bucket": (caller.create, bucket),
        "put plain.txt": (caller.put, bucket, "plain.txt", BODY),
        "get plain.txt": (caller.get, bucket, "plain.txt"),
        "list": (caller.list, bucket),
        "multipart 20 MiB": (caller.multipart, bucket, big_file()),
        "delete plain.txt": (getattr(caller, "refused_delete", caller.delete), bucket, "plain.txt"),
        "delete bucket": (caller.remove, bucket),
    }
    denials = getattr(caller, "denials", {})
    for call, (action, *arguments) in calls.items():
        row(caller.name, route, call, f"error: {denials.get(call, code)}", show(attempt(action, *arguments)))


def names_for(server, keys):
    """The keys that a server takes."""
    return [key for key in keys if server != "minio" or not any(part in key for part in NOT_FOR_MINIO)]


def wire(server, version):
    """What the clients above never send: raw spellings, conditional reads, stale signatures, an unknown length."""
    route, bucket = f"{server}, s3-{version}", f"wire-{version}"
    port, wrong = gateway_port(f"{server}-{version}"), gateway_port(f"{server}-{version}-wrong")
    curl = Curl(f"http://127.0.0.1:{port}")
    attempt(curl.create, bucket)
    row("curl", route, "put for what follows", "done", show(attempt(curl.put, bucket, "plain", BODY)))
    # A SigV2 route sends a body of unknown length as it comes; Amazon and MinIO want to know the length (411).
    wants_length = server == "minio" and version == "v2"
    row("curl", route, "put, Transfer-Encoding: chunked", "error: 411 MissingContentLength" if wants_length else "done", show(attempt(curl.put_chunked, bucket, "chunked", BODY)))
    if not wants_length:
        row("curl", route, "get what came chunked", show(BODY), show(attempt(curl.get, bucket, "chunked")))
    spellings = {"a+b*c~(d)!": "a+b*c~(d)!", "%c3%bc%2b%20%7e": "ü+ ~", "x/%2e%2e/y": "x/../y", "p%2Fq": "p/q", "..//z": "..//z"}
    for wire_key, key in spellings.items():
        if key not in names_for(server, [key]):
            refused = exchange(port, "PUT", f"/{bucket}/{wire_key}", body=BODY)
            row("raw", route, f"put {wire_key}: the server's own refusal", (400, None), (refused.status, refused.headers.get("x-countersign-error")))
            continue
        put = exchange(port, "PUT", f"/{bucket}/{wire_key}", body=BODY)
        row("raw", route, f"put {wire_key} as spelled", 200, put.status)
        listed = attempt(curl.list, bucket)
        row("raw", route, f"{wire_key} is the key {key}", True, key in listed)
        row("raw", route, f"get {wire_key}", show(BODY), show(exchange(port, "GET", f"/{bucket}/{wire_key}").body))
    first = exchange(port, "GET", f"/{bucket}/plain")
    row("raw", route, "GET with If-None-Match", (304, b""), ((again := exchange(port, "GET", f"/{bucket}/plain", [("If-None-Match", first.headers.get("etag", ""))])).status, again.body))
    head = exchange(port, "HEAD", f"/{bucket}/plain")
    row("raw", route, "HEAD", (200, str(len(BODY)), b""), (head.status, head.headers.get("content-length"), head.body))
    row("raw", route, "GET of what is not there", (404, True), ((absent := exchange(port, "GET", f"/{bucket}/none")).status, "NoSuchKey" in absent.text))
    row("raw", route, "an upstream's 404 is not ours", None, absent.headers.get("x-countersign-error"))
    stale = [
        ("presigned SigV4", "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=CALLER%2F20200101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=" + "0" * 64, []),
        ("presigned SigV2", "?AWSAccessKeyId=CALLER&Expires=1700000000&Signature=c3RhbGU%3D", []),
        ("SigV4 headers", "", [("Authorization", "AWS4-HMAC-SHA256 Credential=CALLER/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" + "0" * 64), ("X-Amz-Date", "20200101T000000Z")]),
        ("SigV2 headers", "", [("Authorization", "AWS CALLER:c3RhbGU="), ("Date", "Wed, 01 Jan 2020 00:00:00 GMT")]),
    ]
    for what, query, headers in stale:
        row("raw", route, f"stale {what} of the caller's are replaced", (200, BODY), ((got := exchange(port, "GET", f"/{bucket}/plain{query}", headers)).status, got.body))
    disposition = quote('attachment; filename="x y"', safe="")
    got = exchange(port, "GET", f"/{bucket}/plain?response-content-disposition={disposition}")
    row("raw", route, "response-content-disposition", (200, 'attachment; filename="x y"'), (got.status, got.headers.get("content-disposition")))
    for key in ["plain", "chunked", *spellings.values()]:
        attempt(curl.delete, bucket, key)
    row("curl", route, "delete bucket", "done", show(attempt(curl.remove, bucket)))
    denied = exchange(wrong, "GET", f"/{bucket}/plain.txt")
    row("raw", f"{route}, wrong secret", "the refusal is the server's own", (403, True, None), (denied.status, b"SignatureDoesNotMatch" in denied.body, denied.headers.get("x-countersign-error")))


def main(server, version):
    route = f"{server}, s3-{version}"
    url, wrong = endpoint(f"{server}-{version}"), endpoint(f"{server}-{version}-wrong")
    keys = names_for(server, KEYS)
    for make in (Aws, Boto3, Curl, Rclone):
        own = [key for key in keys if make is not Rclone or "//" not in key]
        if make is Aws and server != "swift":
            own = own[:3]  # a second per call; the whole list has been through it already
        round_trip(make(url), route, f"{make.__name__.lower()}-{version}", own)
        all_denied(make(wrong), f"{route}, wrong secret", f"{make.__name__.lower()}-{version}-wrong")
    in_host = Curl(url, "curl, bucket in Host", "s3.internal", bucket_in_host=True)
    round_trip(in_host, f"{route} *.s3.internal", f"hosted-{version}", keys[:8], big=False)
    to_host = Curl(url, "curl, bucket to Host", "path.internal")
    round_trip(to_host, f"{route} addressing virtual", f"virtual-{version}", keys[:8], big=False)
    wire(server, version)


if __name__ == "__main__":
    main(*sys.argv[1:])
