"""Many routes: what a request costs when it matches the last of them, and what they cost at start and at rest."""

import functools

from arms import arm, loads_table
from backend import SMALL
from gateway import BUCKET, Caller, Gateway
from processes import resident
from report import number, ratio
from rounds import interleave

CONNECTIONS = 32


def measure(run):
    run.report.say("\n## Many routes")
    with run.stage.act():
        arms, gateways = [], {}
        for name, kind, count in [("1 route", "path", 1), *variants(run.options.many)]:
            more = functools.partial(routes, kind=kind, count=count)
            gateway = Gateway(run.stage, run.options.binary, run.backend.signed, routes=more)
            caller = Caller(last(kind, count), gateway.token.headers)
            gateways[name] = gateway.process
            arms.append(arm(run, name, gateway.process, caller, SMALL, CONNECTIONS))
        tables(run, "routes", arms, gateways)


def variants(counts):
    """Each kind of condition."""
    kinds = {"path": "by path", "host": "by host", "suffix": "by *.host"}
    return [(f"{count:,} routes {said}", kind, count) for count in counts for kind, said in kinds.items()]


def routes(gateway, kind, count):
    """That many routes. By path, each is one key's folder in a bucket; the load's own is the last."""
    text = []
    for number in range(1, count + 1):
        if kind == "host":
            match = f'{{ host = "{host(number)}" }}'
        elif kind == "suffix":
            match = f'{{ host = "*.{host(number)}" }}'
        else:
            folder = "photos" if number == count else f"folder-{number:05}"
            match = f'{{ host = "many.test", path = "/{BUCKET}/{folder}" }}'
        text.append(gateway.route(f"many-{number}", match, ["agent"]))
    return "".join(text)


def host(number):
    """The host of a route."""
    return f"store-{number:05}.test"


def last(kind, count):
    """The host that finds the last route."""
    return {"path": "many.test", "host": host(count), "suffix": f"{BUCKET}.{host(count)}"}[kind]


def tables(run, section, arms, gateways):
    """Measures the arms, and shows their load, their start and their memory."""
    # Before the load: memory of the same age.
    rest = {name: resident(process.pid) for name, process in gateways.items()}
    series = interleave(section, arms, run.options)
    run.report.series(section, f"1 KiB, c{CONNECTIONS}", series)
    loads_table(run.report, f"1 KiB, {CONNECTIONS} connections, one worker", series)
    starts = {name: {"start": process.seconds, "rest": rest[name]} for name, process in gateways.items()}
    run.report.figures(section, "start", starts)
    rows = [[name, number(process.seconds * 1000, 0), number(rest[name], 1), ratio(series, name, "cpu")] for name, process in gateways.items()]
    run.report.table("Start and memory", ["", "ms to start", "MiB at rest", "× CPU"], rows)
    for name in [name for name in gateways if name != series.reference]:
        run.report.compare(f"{section}/flat/{name}", series, name, "cpu")
