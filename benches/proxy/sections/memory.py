"""Resident memory: at rest, under load, with a large body, and over idle connections."""

import contextlib
import resource
import time

import load
import proxies
from arms import PLAIN
from backend import LARGE, SINK, SMALL
from gateway import Caller, Gateway
from processes import Peak, resident
from report import number
from rounds import progress
from streams import StreamError, answer, connect, get, measure as stream, put, request

# What is waited for memory to be as it will be.
SETTLE = 0.5
CONNECTIONS = 256


def measure(run):
    run.report.say("\n## Memory, in MiB resident")
    under_load(run)
    over_idle(run)


def beside(run, connections=4096):
    """Each proxy in turn, fresh and alone: its name, its process, how a caller of it says who it is."""
    for name in ("nginx", "haproxy", "countersign", "countersign, record in a file"):
        with run.stage.act():
            if name == "nginx":
                yield name, proxies.nginx(run.stage, run.backend.open, connections=connections), PLAIN
            elif name == "haproxy":
                yield name, proxies.haproxy(run.stage, run.backend.open, connections=connections), PLAIN
            else:
                record = "audit" if name.endswith("file") else None
                gateway = Gateway(run.stage, run.options.binary, run.backend.signed, record=record, connections=connections)
                yield name, gateway.process, gateway.token
    progress("")


def under_load(run):
    """At rest, after a load of small bodies, and what a large body adds each way."""
    mib, rows, kept = run.options.mib, [], {}
    for name, process, caller in beside(run):
        progress(f"memory: {name}")
        time.sleep(SETTLE)
        figures = {"rest": resident(process.pid), "own": resident(process.pid, "RssAnon"), "errors": []}
        for method, transfer, key in (("PUT", put, SINK), ("signed PUT", put, SINK), ("GET", get, LARGE)):
            if method == "signed PUT" and caller is PLAIN:
                continue  # nginx and haproxy sign nothing
            as_who = Caller("chunked.test", caller.headers) if method == "signed PUT" else caller
            moved = stream(transfer, process, process.port, key, as_who, mib, figures["rest"])
            figures[method] = moved["added"]
            figures["errors"] += moved["errors"]
        with Peak(process.pid) as peak:
            headers = (f"Host: {caller.host}", *load.HEADERS, *caller.headers)
            driven = load.drive(process.port, f"{load.PATH}{SMALL}{load.QUERY}", headers, CONNECTIONS, run.options.seconds)
        figures["load"] = peak.mib
        figures["errors"] += driven.errors
        time.sleep(SETTLE)
        figures["after"] = resident(process.pid)
        kept[name] = figures
        for error in figures["errors"]:
            run.report.wrong(f"memory, {name}: {error}")
        shown = (number(figures.get(key), 1) for key in ("rest", "own", "PUT", "signed PUT", "GET", "load", "after"))
        rows.append([name, *shown, len(figures["errors"])])
        if name.startswith("countersign"):
            found = name[len("countersign") :].replace(", ", " | ")
            run.report.find(f"memory/rest{found}", figures["rest"], "MiB")
            run.report.find(f"memory/body{found}", max(figures[key] for key in ("PUT", "signed PUT", "GET")), "MiB")
            run.report.find(f"memory/c256{found}", figures["load"], "MiB")
    run.report.figures("memory", "under load", kept)
    heads = ["", "at rest", "without files", f"PUT of {mib} MiB adds", "with every chunk signed", "GET adds",
             f"most with {CONNECTIONS} connections busy", "after they left", "errors"]  # fmt: skip
    run.report.table("One worker, in that order; what bodies add is told from rest", heads, rows)


def over_idle(run):
    """Connections that each made one request and then wait."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    counts = [count for count in sorted(run.options.idle) if count + 1000 <= most]
    if counts != sorted(run.options.idle):
        run.report.say(f"\nOnly up to {most - 1000} idle connections: the system allows {most} open files (`ulimit -Hn`).")
    if not counts:
        return
    rows, kept = [], {}
    for name, process, caller in beside(run, max(counts) + 1000):
        time.sleep(SETTLE)
        figures = {"0": resident(process.pid)}
        with contextlib.ExitStack() as held:
            opened = []
            try:
                for count in counts:
                    progress(f"memory: {name}, {count} idle connections")
                    while len(opened) < count:
                        opened.append(held.enter_context(connect(process.port)))
                        ask(opened[-1], caller)
                    time.sleep(SETTLE)
                    figures[str(count)] = resident(process.pid)
                # They are all still there, and still served.
                for connection in opened[:: max(1, len(opened) // 100)]:
                    ask(connection, caller)
            except (OSError, StreamError) as error:
                run.report.wrong(f"memory, {name}, idle connection {len(opened)}: {error}")
        kept[name] = figures
        each = (figures.get(str(counts[-1]), float("nan")) - figures["0"]) * 1024 / counts[-1]
        if name == "countersign":
            run.report.find("idle/each", each, "KiB")
        rows.append([name, *(number(figures.get(str(count), float("nan")), 1) for count in [0, *counts]), number(each, 1)])
    run.report.figures("memory", "idle connections", kept)
    heads = ["", *(f"{count:,} idle" for count in [0, *counts]), "KiB each"]
    run.report.table("Idle connections, each after one request, one worker", heads, rows)


def ask(connection, caller):
    """One small request on a connection that stays."""
    connection.sendall(request("GET", SMALL, caller))
    _, body = answer(connection)
    while len(body) < 1024:
        more = connection.recv(65536)
        if not more:
            raise StreamError("the connection ended within a small body")
        body += more
