"""Arms that are driven by wrk, and the table of what they did."""

from gateway import Caller
from load import HEADERS, PATH, QUERY, drive
from processes import Clock
from report import number, percent, ratio
from rounds import NOTHING, Arm

# What callers of the other proxies send: nobody asks them who they are.
PLAIN = Caller("store.test")


def arm(run, name, process, caller, body, connections):
    """An arm that asks for a small body; without a process it asks the backend itself, whose time does not count.
    `caller` may be a function, where its headers age."""

    def measure(warm_up):
        said = caller() if callable(caller) else caller
        clock = Clock(process.pid) if process else None
        headers = (f"Host: {said.host}", *HEADERS, *said.headers)
        port, seconds = process.port if process else run.backend.open, 1 if warm_up else run.options.seconds
        load = drive(port, f"{PATH}{body}{QUERY}", headers, connections, seconds)
        return {
            "rate": load.rate,
            "p50": load.middle,
            "p99": load.slowest,
            "cpu": clock.seconds() / max(1, load.requests) * 1e5 if clock else NOTHING,
            "requests": load.requests,
            "errors": load.errors,
        }

    return Arm(name, measure)


def loads_table(report, title, series, note=""):
    """One line for each arm."""
    heads = ["", "requests/s", "spread", "× rate", "p50 µs", "p99 µs", "× p99", "CPU s per 100k", "spread", "× CPU", "errors"]
    rows = []
    for name in series.figures:
        rows.append([
            name,
            number(series.middle(name, "rate"), 0),
            percent(series.spread(name, "rate")),
            ratio(series, name, "rate"),
            number(series.middle(name, "p50"), 0),
            number(series.middle(name, "p99"), 0),
            ratio(series, name, "p99"),
            number(series.middle(name, "cpu")),
            percent(series.spread(name, "cpu")),
            ratio(series, name, "cpu"),
            len(series.errors(name)),
        ])  # fmt: skip
    report.table(title, heads, rows, note)


def streams_table(report, title, series, note=""):
    """One line for each arm."""
    heads = ["", "MB/s", "spread", "× MB/s", "CPU s per GiB", "spread", "× CPU", "MiB added", "errors"]
    rows = []
    for name in series.figures:
        rows.append([
            name,
            number(series.middle(name, "rate"), 0),
            percent(series.spread(name, "rate")),
            ratio(series, name, "rate"),
            number(series.middle(name, "cpu"), 3),
            percent(series.spread(name, "cpu")),
            ratio(series, name, "cpu"),
            number(max(figures["added"] for figures in series.figures[name]), 1),
            len(series.errors(name)),
        ])  # fmt: skip
    report.table(title, heads, rows, note)
