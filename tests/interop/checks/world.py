"""What the run started, and how to talk to it: gateways, mock journals, one exchange of raw bytes.

Reads the directory that `run` laid out (`gateway/NAME`, `mock/NAME`); starts and stops nothing itself.
"""

import contextlib
import http.client
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

WORK = Path(os.environ["INTEROP_WORK"])
REPOSITORY = Path(__file__).resolve().parents[3]
# What the gateways' TLS listeners show; a caller that talks TLS to them trusts it and nothing else.
CERTIFICATE = WORK / "tls" / "certificate.pem"


def gateway_port(name):
    """The data port of a gateway."""
    return int((WORK / "gateway" / name / "port").read_text())


def admin_port(name):
    """The admin port of a gateway."""
    return int((WORK / "gateway" / name / "admin").read_text())


def tls_port(name):
    """The data port of a gateway that talks TLS."""
    return int((WORK / "gateway" / name / "tls").read_text())


def unix_socket(name):
    """The unix socket of a gateway."""
    return WORK / "gateway" / name / "gateway.sock"


def mock_port(name):
    """Where a mock itself listens."""
    return int((WORK / "mock" / name / "port").read_text())


def endpoint(name):
    """What a script is pointed at."""
    return f"http://127.0.0.1:{gateway_port(name)}"


def tls_endpoint(name):
    """What a script is pointed at that shall talk TLS to the gateway."""
    return f"https://localhost:{tls_port(name)}"


@dataclass
class Answer:
    """A response, whole."""

    status: int
    headers: dict  # lower-case names
    body: bytes

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


def exchange(port, method, target, headers=(), body=None, host=None):
    """Sends exactly these bytes as one request: no library between the check and the wire tidies the target.

    A connection that ends without an answer counts as status 0, with the reason as its body.
    """
    sent = [("Host", host or f"127.0.0.1:{port}"), ("Connection", "close"), *headers]
    if body is not None:
        sent.append(("Content-Length", str(len(body))))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent) + "\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
        response = http.client.HTTPResponse(wire, method=method)
        try:
            with contextlib.suppress(ConnectionError):  # answered before the body was through
                wire.sendall(head.encode("latin-1") + (body or b""))
            response.begin()
            answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        except (OSError, http.client.HTTPException) as error:
            answer = Answer(0, {}, repr(error).encode())
    with open(WORK / "answers.log", "ab") as log:  # read by the leak check
        log.write(repr(answer.headers).encode() + b"\n" + answer.body + b"\n")
    return answer


class Journal:
    """The journal of one mock; `since_last()` gives the calls that came since it was asked before."""

    def __init__(self, mock):
        self._path = WORK / "mock" / mock / "journal.jsonl"
        self._read = 0
        self.since_last()

    def everything(self):
        """Every call since the mock started."""
        lines = self._path.read_text(encoding="utf-8").split("\n") if self._path.exists() else []
        return [json.loads(line) for line in lines if line]

    def since_last(self):
        """The calls that came since this was asked before."""
        calls = self.everything()
        fresh, self._read = calls[self._read :], len(calls)
        return fresh
