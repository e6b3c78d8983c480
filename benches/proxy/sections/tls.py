"""TLS to the upstream: what it costs with connections that are kept, in streams, and when every call needs a new one."""

import time

import proxies
from arms import arm, loads_table, streams_table
from backend import LARGE, MIDDLE, SINK, SMALL, nginx
from certificates import make
from gateway import Caller, Gateway
from report import percent
from rounds import Arm, interleave
from stage import free_port
from streams import get, measure as stream, put

DOOR = "ssl_certificate {leaf}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:{cache}:8m;"
LOG = "access_log {log} handshakes buffer=64k flush=200ms; keepalive_timeout 0;"
FORMAT = "    log_format handshakes '$http_user_agent $ssl_session_reused $ssl_protocol';\n"


def measure(run):
    run.report.say("\n## TLS to the upstream")
    with run.stage.act():
        doors = Doors(run)
        kept(run, doors)
        streams(run, doors)
        cold(run, doors)


class Doors:
    """The backend's TLS servers: one that keeps connections, one that speaks HTTP/2 as well, one that closes after
    every answer and writes down whether the handshake was a resumed one."""

    def __init__(self, run):
        self.authority = make(run.stage)
        self.kept, self.http2, self.cold = free_port(), free_port(), free_port()
        self.log = run.stage.folder / "handshakes.log"
        door = {"leaf": self.authority.certificate, "key": self.authority.key}
        server = run.backend.server
        servers = FORMAT + server(self.kept, " ssl", DOOR.format(cache="kept", **door))
        servers += server(self.http2, " ssl http2", DOOR.format(cache="both", **door))
        servers += server(self.cold, " ssl", DOOR.format(cache="cold", **door) + LOG.format(log=self.log))
        nginx(run.stage, "doors", self.kept, servers)


def beside(run, doors, port, http2=None):
    """The proxies in front of a door: name, process, how a caller of it says who it is."""
    stage, authority = run.stage, doors.authority
    found = [
        ("nginx", proxies.nginx(stage, port, authority=authority), Caller(authority.name)),
        ("haproxy", proxies.haproxy(stage, port, authority=authority), Caller(authority.name)),
    ]
    gateway = Gateway(stage, run.options.binary, port, authority=authority)
    found.append(("countersign", gateway.process, gateway.token))
    if http2:
        gateway = Gateway(stage, run.options.binary, http2, authority=authority, http2=True)
        found.append(("countersign, HTTP/2", gateway.process, gateway.token))
    return found


def kept(run, doors):
    """Connections that are kept."""
    with run.stage.act():
        found = beside(run, doors, doors.kept, doors.http2)
        for size, body in (("1 KiB", SMALL), ("64 KiB", MIDDLE)):
            arms = [arm(run, name, process, caller, body, 32) for name, process, caller in found]
            case = f"{size}, c32"
            series = interleave(f"tls, {case}", arms, run.options)
            run.report.series("tls", case, series)
            loads_table(run.report, f"{size}, 32 connections, one worker, connections kept", series)
            for key in ("rate", "p99", "cpu"):
                run.report.compare(f"tls/{key}/{size}", series, "countersign", key)
                run.report.compare(f"tls/{key}/{size} | HTTP/2", series, "countersign, HTTP/2", key)


def streams(run, doors):
    """One large body each way."""
    mib = run.options.mib
    with run.stage.act():
        found = beside(run, doors, doors.kept, doors.http2)
        for method, transfer, key in (("PUT", put, SINK), ("GET", get, LARGE)):
            arms = [
                Arm(name, lambda _, p=process, c=caller, move=transfer, k=key: stream(move, p, p.port, k, c, mib))
                for name, process, caller in found
            ]
            case = f"{method} {mib} MiB"
            series = interleave(f"tls, {case}", arms, run.options)
            run.report.series("tls", case, series)
            streams_table(run.report, f"{case}, one stream", series)
            run.report.compare(f"tls/stream/{method}", series, "countersign", "cpu")


def cold(run, doors):
    """A backend that closes after every answer: a handshake for each call."""
    with run.stage.act():
        found = beside(run, doors, doors.cold)
        # The log tells arms apart by the name that their callers give themselves.
        tagged = [(name, process, Caller(caller.host, (*caller.headers, f"User-Agent: {name}"))) for name, process, caller in found]
        arms = [arm(run, name, process, caller, SMALL, 8) for name, process, caller in tagged]
        series = interleave("tls, cold", arms, run.options)
        run.report.series("tls", "cold, 1 KiB, c8", series)
        time.sleep(0.5)  # the log's buffer
        resumed = handshakes(doors.log)
        said = ", ".join(f"{name} {percent(resumed.get(name, float('nan')))}" for name, *_ in found)
        loads_table(run.report, "1 KiB, 8 connections, one worker, a new connection for every call", series, f"Handshakes that were resumed: {said}.")
        run.report.compare("tls/cold/cpu", series, "countersign", "cpu")
        run.report.find("tls/cold/resumed", resumed.get("countersign", float("nan")) * 100, "%")


def handshakes(log):
    """Which share of each arm's handshakes was resumed."""
    counted = {}
    for line in log.read_text("utf-8", "replace").splitlines():
        name, _, rest = line.rpartition(" TLS")[0].rpartition(" ")
        every = counted.setdefault(name, [0, 0])
        every[0] += rest == "r"
        every[1] += 1
    return {name: resumed / every for name, (resumed, every) in counted.items()}
