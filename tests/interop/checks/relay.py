"""A relay in front of a gateway: every request passes byte for byte, and what came and what was answered is kept.

It can also answer some paths itself, which is how a page comes to stand on the very name and port that it attacks, and
how the attacker's own web server is made (a relay to nowhere). It listens on loopback only.
"""

import contextlib
import http.client
import re
import socket
import threading
import time
from dataclasses import dataclass

LOOPBACK = ("127.0.0.1", "127.0.0.2", "::1")


@dataclass
class Exchange:
    """One request as it was on the wire, and the gateway's answer."""

    head: str
    status: int
    headers: list  # of (lower-case name, value)
    body: bytes

    @property
    def line(self):
        """Method and target."""
        return self.head.split("\r\n", 1)[0].rsplit(" ", 1)[0]

    def sent(self, name):
        """The value of a request header, or None."""
        found = re.search(rf"^{name}:[ \t]*(.*?)\r$", self.head, re.IGNORECASE | re.MULTILINE)
        return found[1] if found else None

    def answered(self, name):
        """The value of an answer's header, or None."""
        return next((value for key, value in self.headers if key == name), None)


class Relay:
    """Listens on one port of every loopback address. `pages(target, host)` answers, or gives None to pass it on."""

    def __init__(self, gateway=None, pages=lambda _target, _host: None):
        self._gateway, self._pages, self._kept, self._lock = gateway, pages, [], threading.Lock()
        self._changed = time.monotonic()
        self._open = 0
        first = socket.create_server(("127.0.0.1", 0))
        self.port = first.getsockname()[1]
        for listener in [first, *self._others()]:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _others(self):
        for address in LOOPBACK[1:]:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with contextlib.suppress(OSError):  # a machine without IPv6
                yield socket.create_server((address, self.port), family=family)

    def kept(self):
        """Everything that passed until now."""
        with self._lock:
            return list(self._kept)

    def settle(self, quiet=0.4, longest=15):
        """Waits until nothing has come for a while and nothing is on its way."""
        end = time.monotonic() + longest
        while time.monotonic() < end:
            if self._open == 0 and time.monotonic() - self._changed > quiet:
                return
            time.sleep(0.05)

    def _accept(self, listener):
        while True:
            caller, _ = listener.accept()
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller):
        try:
            with caller, caller.makefile("rb") as incoming:
                if head := self._head(incoming):
                    with self._on_its_way():
                        self._one(caller, incoming, head)
        except (OSError, ValueError, http.client.HTTPException):
            pass  # whoever leaves, leaves

    @contextlib.contextmanager
    def _on_its_way(self):
        with self._lock:
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
                self._changed = time.monotonic()

    @staticmethod
    def _head(incoming):
        head = b""
        while line := incoming.readline():
            head += line
            if line == b"\r\n" and head != line:
                return head
        return b""

    @staticmethod
    def _body(incoming, head):
        text = head.decode("latin-1").lower()
        if "\r\ntransfer-encoding:" in text:
            body = b""
            while True:
                line = incoming.readline()
                size = int(line.split(b";")[0], 16)
                body += line + incoming.read(size + 2)
                if size == 0:
                    return body
        length = re.search(r"\r\ncontent-length:[ ]*(\d+)", text)
        return incoming.read(int(length[1])) if length else b""

    def _one(self, caller, incoming, head):
        """One request and its answer, with which the connection ends."""
        body = self._body(incoming, head)
        text = head.decode("latin-1")
        method, target, _ = text.split("\r\n", 1)[0].split(" ", 2)
        host = re.search(r"\r\nhost:[ ]*(.*?)\r\n", text, re.IGNORECASE)
        own = self._pages(target, host[1] if host else "")
        if own is None and self._gateway is None:
            own = (404, [], b"nothing here")
        if own is not None:
            status, headers, page = own
        else:
            with socket.create_connection(("127.0.0.1", self._gateway), timeout=30) as wire:
                wire.sendall(head + body)
                answer = http.client.HTTPResponse(wire, method=method)
                answer.begin()
                status, page = answer.status, answer.read()
                headers = [(name.lower(), value) for name, value in answer.getheaders()]
            with self._lock:
                self._kept.append(Exchange(text, status, headers, page))
        lines = [f"{name}: {value}\r\n" for name, value in headers if name not in ("content-length", "transfer-encoding", "connection")]
        caller.sendall(f"HTTP/1.1 {status} Relayed\r\n{''.join(lines)}Content-Length: {len(page)}\r\nConnection: close\r\n\r\n".encode("latin-1"))
        if method != "HEAD":
            caller.sendall(page)
