"""One large body through a proxy, by plain sockets: how fast, and what it took.

Sent in blocks of 1 MiB out of memory; what is received is dropped in the kernel, so that the reader is not what is
measured.
"""

import socket
import time

from gateway import BUCKET
from processes import Clock, Peak
from stage import LOOPBACK

BLOCK = 1 << 20
PATIENCE = 60


class StreamError(Exception):
    """An answer that is not 200, or a body that is too short."""


def connect(port):
    """A connection; whoever waits longer than a minute for a byte gives up."""
    connection = socket.create_connection((LOOPBACK, port), PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(method, name, caller, *more):
    """A head. Every name is a key of the bucket."""
    lines = [f"{method} /{BUCKET}/{name} HTTP/1.1", f"Host: {caller.host}", "User-Agent: bench/1.0", *caller.headers, *more]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def answer(connection):
    """Reads a head that must say 200; its text, and what of the body came with it."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65536)
        if not more:
            raise StreamError("the connection ended before an answer")
        head += more
    head, _, body = head.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise StreamError((head.split(b"\r\n")[0] + b" " + body[:300]).decode("latin-1"))
    return head.decode("latin-1"), body


def put(port, name, caller, mib):
    """Uploads."""
    block = bytes(BLOCK)
    with connect(port) as connection:
        connection.sendall(request("PUT", name, caller, f"Content-Length: {mib << 20}"))
        for _ in range(mib):
            connection.sendall(block)
        answer(connection)


def get(port, name, caller, mib):
    """Downloads."""
    unused = bytearray(BLOCK)
    with connect(port) as connection:
        connection.sendall(request("GET", name, caller))
        _, body = answer(connection)
        left = (mib << 20) - len(body)
        while left > 0:
            dropped = connection.recv_into(unused, min(left, BLOCK), socket.MSG_TRUNC)
            if not dropped:
                raise StreamError(f"{left} bytes of the body did not come")
            left -= dropped


def measure(transfer, process, port, name, caller, mib, rest=None):
    """Figures of one transfer through `process`, or to the backend itself when there is none. What it adds to memory
    is told from `rest`, or from what was there before.
    """
    errors, added = [], 0.0
    began, clock = time.perf_counter(), Clock(process.pid) if process else None
    try:
        if process:
            with Peak(process.pid) as peak:
                transfer(port, name, caller, mib)
            added = peak.mib - (peak.before if rest is None else rest)
        else:
            transfer(port, name, caller, mib)
    except (OSError, StreamError) as error:
        errors.append(str(error))
    seconds = time.perf_counter() - began
    return {
        "rate": (mib << 20) / 1e6 / seconds,
        "cpu": clock.seconds() * 1024 / mib if clock else float("nan"),
        "added": added,
        "errors": errors,
    }
