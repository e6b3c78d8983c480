"""HTTP plumbing that the verifying mocks share: read a request as it came, answer it, journal the verdict.

It knows no signature scheme, follows no redirect and repairs nothing: the request target and every header
reach the verifier byte for byte (as Latin-1 text), because those bytes are what is being tested.
"""

import argparse
import json
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


class BadFraming(Exception):
    """The framing of a request body is broken."""


@dataclass
class Request:
    """One request, undecoded."""

    method: str
    target: str
    headers: list  # of (name, value), in order of arrival
    body: bytes

    @property
    def path(self):
        """The raw path: the target up to the first `?`."""
        return self.target.split("?", 1)[0]

    @property
    def query(self):
        """The raw query: what follows the first `?`, or nothing."""
        return self.target.split("?", 1)[1] if "?" in self.target else ""

    def values(self, name):
        """All values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name]

    def header(self, name):
        """The only value of a header; `None` when it is absent or repeated."""
        found = self.values(name)
        return found[0] if len(found) == 1 else None


@dataclass
class Verdict:
    """What a verifier makes of a request."""

    accepted: bool
    reason: str
    code: str = ""  # the server's own error code, where it has one
    string_to_sign: str = ""


@dataclass
class Reply:
    """What the mock answers."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: list = field(default_factory=list)


def json_reply(status, value, headers=()):
    """A JSON answer."""
    return Reply(status, json.dumps(value, ensure_ascii=False).encode(), "application/json;charset=UTF-8", list(headers))


class Journal:
    """One JSON line per call: what came, what was made of it and why."""

    def __init__(self, path):
        self._lock = threading.Lock()
        self._file = open(path, "a", encoding="utf-8") if path else sys.stdout

    def write(self, request, verdict, status, operation, parameters):
        line = {
            "time": round(time.time(), 3),
            "method": request.method,
            "target": request.target,
            "operation": operation,
            "verdict": "accepted" if verdict.accepted else "refused",
            "reason": verdict.reason,
            "status": status,
            "headers": [[name.lower(), value] for name, value in request.headers],
            "parameters": parameters,
            "body_bytes": len(request.body),
            "string_to_sign": verdict.string_to_sign,
        }
        with self._lock:
            print(json.dumps(line, ensure_ascii=False), file=self._file, flush=True)


def _read_body(handler, headers):
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    coded = [value for name, value in headers if name.lower() == "transfer-encoding"]
    if coded and lengths:
        raise BadFraming("both Content-Length and Transfer-Encoding")
    if coded:
        if coded != ["chunked"]:
            raise BadFraming(f"Transfer-Encoding {coded}")
        body = b""
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        while handler.rfile.readline().strip():
            pass
        return body
    if len(lengths) > 1:
        raise BadFraming("repeated Content-Length")
    return handler.rfile.read(int(lengths[0])) if lengths else b""


def serve(handle, options):
    """Serves until ended. `handle(request)` returns (verdict, reply, operation, parameters)."""
    journal = Journal(options.journal)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self):
            # Not self.path: the base class folds a leading `//` there.
            target = self.raw_requestline.decode("latin-1").split(" ")[1]
            headers = [(name, str(value)) for name, value in self.headers.raw_items()]
            try:
                request = Request(self.command, target, headers, _read_body(self, headers))
            except (BadFraming, ValueError) as broken:
                self.close_connection = True
                self.send_error(400, str(broken))
                return
            verdict, reply, operation, parameters = handle(request)
            journal.write(request, verdict, reply.status, operation, parameters)
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = _answer

        def log_message(self, *_):
            """The journal is the log."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET
        daemon_threads = True

    server = Server(("127.0.0.1", options.port), Handler)
    if options.ready:
        # Written whole, then renamed: whoever waits for the file never reads half a number.
        ready = Path(options.ready)
        ready.with_suffix(".tmp").write_text(f"{server.server_address[1]}\n")
        ready.with_suffix(".tmp").rename(ready)
    server.serve_forever()


def run(name, add_options, build, selftest):
    """The command line of every mock. `build(options)` gives the handler, `selftest(report)` runs the vectors."""
    parser = argparse.ArgumentParser(prog=name, description=f"verifying {name} mock for tests")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one (default)")
    parser.add_argument("--ready", help="file that receives the port once the mock listens")
    parser.add_argument("--journal", help="file for the verdicts, one JSON line per call (default: standard output)")
    parser.add_argument("--access-key", default="TESTACCESSKEY")
    parser.add_argument("--secret-key-file", help="file that holds the secret key")
    parser.add_argument("--selftest", action="store_true", help="replay the published vectors and exit")
    add_options(parser)
    options = parser.parse_args()
    if options.selftest:
        report = Report(name)
        selftest(report)
        sys.exit(report.finish())
    if not options.secret_key_file:
        parser.error("--secret-key-file is required")
    options.secret_key = Path(options.secret_key_file).read_text().removesuffix("\n")
    try:
        serve(build(options), options)
    except KeyboardInterrupt:
        pass


class Report:
    """Counts a self-test; a self-test that checked nothing has failed."""

    def __init__(self, name):
        self.name, self.passed, self.failed = name, 0, 0

    def vectors(self, file):
        """The vectors of one file of the repository."""
        return json.loads((VECTORS / file).read_text(encoding="utf-8"))["vectors"]

    def check(self, what, good, got=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"{self.name}: FAILED {what}: {got}")

    def finish(self):
        print(f"{self.name} self-test: {self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0
