"""Small requests under load, by wrk: how many in a second, how long they took, and what went wrong."""

import os
import re
import subprocess
from dataclasses import dataclass, field

from stage import LOOPBACK, StageError, program

MICROSECONDS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}
# The request of a small tool. Its query has what S3 calls have, in an order that a signature changes.
PATH = "/bucket/photos/2026/11/"
QUERY = "?versionId=3sL4kqtJlcpXroDTDmJ%2BrmSpXd3dIbrHY&partNumber=3&response-content-type=image%2Fjpeg"
HEADERS = (
    "User-Agent: bench/1.0",
    "Accept: */*",
    "x-amz-request-payer: requester",
    'If-None-Match: "d41d8cd98f00b204e9800998ecf8427e"',
)
# One core of four for the load, so that it is not what is measured.
THREADS = max(1, (os.cpu_count() or 1) // 4)


@dataclass
class Load:
    """What wrk saw."""

    requests: int
    rate: float
    middle: float  # µs
    slowest: float  # µs, of all but one in a hundred
    errors: list = field(default_factory=list)


def drive(port, target, headers, connections, seconds):
    """Keeps `connections` busy for that long."""
    command = [program("wrk"), f"-t{min(THREADS, connections)}", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    for header in headers:
        command += ["-H", header]
    ended = subprocess.run(
        command + [f"http://{LOOPBACK}:{port}{target}"], capture_output=True, text=True, timeout=seconds + 60, check=False
    )  # fmt: skip
    return read(ended.stdout + ended.stderr)


def read(text):
    """Reads what wrk printed."""
    counted = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if not counted or not rate:
        raise StageError(f"wrk said: {text[-500:]}")
    errors = [f"{found[1]} answers were no 2xx" for found in re.finditer(r"Non-2xx or 3xx responses: (\d+)", text)]
    errors += [f"socket errors: {found[1]}" for found in re.finditer(r"Socket errors: (.*)", text)]
    if counted[1] == "0":
        errors.append("no answer at all")
    return Load(int(counted[1]), float(rate[1]), share(text, 50), share(text, 99), errors)


def share(text, percent):
    """How long the fastest `percent` of all took, in µs."""
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)\b", text, re.MULTILINE)
    return float(found[1]) * MICROSECONDS[found[2]] if found else float("nan")
