"""S3 clients that come with keys of their own, which the gateway must strip: s3cmd, minio-py, the AWS SDK for JavaScript.

s3cmd always signs, the others do both; whatever they sign with is a throw-away key that no server knows, so a call
that succeeds was signed anew. Behind a route with a wrong secret the same calls must fail. Usage: s3_own_keys.py
swift|minio v2|v4
"""

import base64
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import minio
import urllib3
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from s3_clients import BODY, KEYS, NO_CODE, NO_KEYS, all_denied, attempt, big_file, denial, names_for, round_trip, show
from table import row
from world import WORK, endpoint

THROWAWAY = ("THROWAWAYKEY", "throw-away-secret")
NODE = Path(os.environ["INTEROP_NODE"])


def told(keys):
    """How a caller's keys stand in its name: throw-away ones are what this check is about."""
    return "" if keys == THROWAWAY else ", local key"


class S3cmd:
    """s3cmd from Debian; it has no anonymous mode and reads no ranges."""

    denials = {"get plain.txt": NO_CODE}  # it does not read the body of a refused download

    def __init__(self, url, *options, keys=THROWAWAY):
        self.name = " ".join(["s3cmd", *options]) + told(keys)
        host = url.removeprefix("http://")
        config = WORK / f"s3cfg-{keys[1][-8:]}-{host.replace(':', '-')}"
        config.write_text(f"[default]\naccess_key = {keys[0]}\nsecret_key = {keys[1]}\nhost_base = {host}\nhost_bucket = {host}\nuse_https = False\nmax_retries = 1\n")
        self._command = ["s3cmd", "--config", str(config), "--no-progress", *options]

    def _run(self, *words):
        done = subprocess.run([*self._command, *map(str, words)], env=NO_KEYS, capture_output=True, timeout=300)
        with open(WORK / "answers.log", "ab") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode != 0:
            text = done.stderr.decode("utf-8", "replace").strip()
            if " 403 (" in text:
                raise RuntimeError(denial(text) or NO_CODE)
            raise RuntimeError(text.splitlines()[-1] if text else f"exit {done.returncode}")
        return done.stdout

    def create(self, bucket):
        self._run("mb", f"s3://{bucket}")

    def put(self, bucket, key, body):
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            self._run("put", file.name, f"s3://{bucket}/{key}")

    def get(self, bucket, key):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "got"
            self._run("get", f"s3://{bucket}/{key}", path)
            return path.read_bytes()

    def list(self, bucket):
        lines = self._run("ls", "--recursive", f"s3://{bucket}").decode().splitlines()
        return [line.split(f"s3://{bucket}/", 1)[1] for line in lines]

    def multipart(self, bucket, path):
        self._run("put", "--multipart-chunk-size-mb=5", path, f"s3://{bucket}/big.bin")

    def delete(self, bucket, key):
        self._run("rm", f"s3://{bucket}/{key}")

    def remove(self, bucket):
        self._run("rb", f"s3://{bucket}")


class Minio:
    """minio-py, with keys or without; over TLS it trusts `authority` only."""

    def __init__(self, url, *, keys=THROWAWAY, authority=None):
        access, secret = keys or (None, None)
        scheme, _, host = url.partition("://")
        self.name = f"minio-py{told(keys) or ', own keys'}" if keys else "minio-py, no keys"
        pool = urllib3.PoolManager(retries=False, timeout=60, **({"cert_reqs": "CERT_REQUIRED", "ca_certs": str(authority)} if authority else {}))
        self._caller = minio.Minio(endpoint=host, access_key=access, secret_key=secret, secure=scheme == "https", region="us-east-1", http_client=pool)

    def _call(self, operation, **arguments):
        try:
            return getattr(self._caller, operation)(**arguments)
        except S3Error as error:
            raise RuntimeError(f"{error.response.status} {error.code}") from None
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise RuntimeError(str(error)) from None

    def create(self, bucket):
        self._call("make_bucket", bucket_name=bucket)

    def put(self, bucket, key, body):
        self._call("put_object", bucket_name=bucket, object_name=key, data=io.BytesIO(body), length=len(body), metadata={"note": "two   spaces"})

    def put_unknown(self, bucket, key, body):
        """Nobody knows how long it is until it ends: the library makes a multipart upload of it."""
        self._call("put_object", bucket_name=bucket, object_name=key, data=io.BytesIO(body), length=-1, part_size=5 * 1024 * 1024)

    def _read(self, **arguments):
        answer = self._call("get_object", **arguments)
        try:
            return answer.read()
        finally:
            answer.close()
            answer.release_conn()

    def get(self, bucket, key):
        return self._read(bucket_name=bucket, object_name=key)

    def get_range(self, bucket, key, first, last):
        return self._read(bucket_name=bucket, object_name=key, offset=first, length=last - first + 1)

    def stat(self, bucket, key):
        found = self._call("stat_object", bucket_name=bucket, object_name=key)
        return found.size, found.metadata.get("x-amz-meta-note")

    def list(self, bucket):
        try:
            return [item.object_name for item in self._caller.list_objects(bucket, recursive=True)]
        except S3Error as error:
            raise RuntimeError(f"{error.response.status} {error.code}") from None

    def multipart(self, bucket, path):
        self._call("fput_object", bucket_name=bucket, object_name="big.bin", file_path=str(path), part_size=5 * 1024 * 1024)

    def delete(self, bucket, key):
        self._call("remove_object", bucket_name=bucket, object_name=key)

    def delete_many(self, bucket, keys):
        """`DeleteObjects`: a POST whose body names what to delete. None, or what could not be deleted."""
        return [error.code for error in self._caller.remove_objects(bucket, [DeleteObject(key) for key in keys])] or None

    def remove(self, bucket):
        self._call("remove_bucket", bucket_name=bucket)


class AwsSdkJs:
    """The AWS SDK for JavaScript, version 3, in one Node process; see callers/aws-sdk-js."""

    def __init__(self, url, *, keys=THROWAWAY, authority=None):
        self.name = f"aws-sdk-js{told(keys) or ', own keys'}" if keys else "aws-sdk-js, no keys"
        environment = NO_KEYS | {"ENDPOINT": url, "KEYS": " ".join(keys or ()), "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        if authority:
            environment["NODE_EXTRA_CA_CERTS"] = str(authority)
        self._node = subprocess.Popen(["node", NODE / "caller.mjs"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _, said = self._node.communicate(timeout=30)  # it ends with its input
        with open(WORK / "answers.log", "a", encoding="utf-8") as log:
            log.write(said)

    def _call(self, call, **what):
        self._node.stdin.write(json.dumps({"call": call, **what}) + "\n")
        self._node.stdin.flush()
        answer = json.loads(self._node.stdout.readline() or '{"error": "node ended"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def create(self, bucket):
        self._call("create", bucket=bucket)

    def put(self, bucket, key, body):
        self._call("put", bucket=bucket, key=key, body=base64.b64encode(body).decode())

    def put_stream(self, bucket, key, path):
        self._call("put_stream", bucket=bucket, key=key, path=str(path))

    def get(self, bucket, key):
        return base64.b64decode(self._call("get", bucket=bucket, key=key))

    def get_range(self, bucket, key, first, last):
        return base64.b64decode(self._call("get_range", bucket=bucket, key=key, first=first, last=last))

    def list(self, bucket):
        return self._call("list", bucket=bucket)

    def multipart(self, bucket, path):
        self._call("multipart", bucket=bucket, path=str(path))

    def delete(self, bucket, key):
        self._call("delete", bucket=bucket, key=key)

    def remove(self, bucket):
        self._call("remove", bucket=bucket)


def beyond_the_round_trip(caller, route, bucket):
    """What only minio-py is asked: metadata of an object, an upload of unknown length, many deletions in one call."""
    attempt(caller.create, bucket)
    attempt(caller.put, bucket, "known", BODY)
    row(caller.name, route, "stat", (len(BODY), "two   spaces"), attempt(caller.stat, bucket, "known"))
    data = big_file().read_bytes()[: 12 * 1024 * 1024 + 1]
    row(caller.name, route, "put, length unknown until it ends", "done", show(attempt(caller.put_unknown, bucket, "unknown", data)))
    row(caller.name, route, "get what was put so", show(data), show(attempt(caller.get, bucket, "unknown")))
    row(caller.name, route, "put of unknown length that is empty", "done", show(attempt(caller.put_unknown, bucket, "nothing", b"")))
    row(caller.name, route, "stat of it", 0, (attempt(caller.stat, bucket, "nothing") or [None])[0])
    row(caller.name, route, "delete three in one call", "done", show(attempt(caller.delete_many, bucket, ["known", "unknown", "nothing"])))
    row(caller.name, route, "list after it", [], attempt(caller.list, bucket))
    attempt(caller.remove, bucket)


def main(server, version):
    route = f"{server}, s3-{version}"
    url, wrong = endpoint(f"{server}-{version}"), endpoint(f"{server}-{version}-wrong")
    names = names_for(server, KEYS)
    # Once in full; what only differs in how the caller signs, and is stripped anyway, with a few keys.
    for number, (options, keys, big) in enumerate(((("--signature-v2",), names, True), ((), names[:3], False))):
        bucket = f"s3cmd{number}-{version}"
        round_trip(S3cmd(url, *options), route, bucket, keys, big=big)
        all_denied(S3cmd(wrong, *options), f"{route}, wrong secret", f"{bucket}-wrong")
    for number, own in enumerate((None, THROWAWAY)):
        bucket = f"miniopy{number}-{version}"
        some = names[:3] if own else names
        round_trip(Minio(url, keys=own), route, bucket, some, big=not own)
        if not own:
            beyond_the_round_trip(Minio(url, keys=own), route, f"{bucket}-more")
        all_denied(Minio(wrong, keys=own), f"{route}, wrong secret", f"{bucket}-wrong")
        bucket = f"sdkjs{number}-{version}"
        with AwsSdkJs(url, keys=own) as caller, AwsSdkJs(wrong, keys=own) as refused:
            round_trip(caller, route, bucket, some, big=not own)
            all_denied(refused, f"{route}, wrong secret", f"{bucket}-wrong")


if __name__ == "__main__":
    main(*sys.argv[1:])
