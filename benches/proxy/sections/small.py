"""Small bodies: requests per second, latency and processor time while signing, against proxies that sign nothing."""

import proxies
from arms import PLAIN, arm, loads_table
from backend import MIDDLE, SMALL
from gateway import Gateway
from rounds import interleave

REFERENCE = "nginx"
# What goes into the summary, of which arm.
FINDINGS = (("", "countersign, token"), (" | record in a file", "countersign, token, record in a file"))


def measure(run):
    run.report.say("\n## Small bodies")
    if 1 in run.options.workers:
        one_worker(run)
    if 2 in run.options.workers:
        two_workers(run)


def one_worker(run):
    """One worker or thread each, at several concurrencies."""
    with run.stage.act():
        stage, backend = run.stage, run.backend
        nginx, haproxy = proxies.nginx(stage, backend.open), proxies.haproxy(stage, backend.open)
        quiet = Gateway(stage, run.options.binary, backend.signed)
        filed = Gateway(stage, run.options.binary, backend.signed, record="audit")
        for connections in run.options.conc:
            arms = [
                arm(run, REFERENCE, nginx, PLAIN, SMALL, connections),
                arm(run, "haproxy", haproxy, PLAIN, SMALL, connections),
                arm(run, "countersign, token", quiet.process, quiet.token, SMALL, connections),
                arm(run, "countersign, token, record in a file", filed.process, filed.token, SMALL, connections),
                arm(run, "countersign, known by its address", quiet.process, quiet.connection, SMALL, connections),
                arm(run, "nobody in between", None, PLAIN, SMALL, connections),
            ]
            case = f"1 KiB, c{connections}, 1 worker"
            series = interleave(case, arms, run.options)
            run.report.series("small", case, series)
            loads_table(run.report, f"1 KiB, {connections} connection{'s' if connections > 1 else ''}, one worker", series)
            for found, name in FINDINGS:
                run.report.compare(f"cpu/c{connections}{found}", series, name, "cpu")
                run.report.compare(f"p99/c{connections}{found}", series, name, "p99")


def two_workers(run):
    """Two workers or threads each."""
    with run.stage.act():
        stage, backend = run.stage, run.backend
        nginx, haproxy = proxies.nginx(stage, backend.open, 2), proxies.haproxy(stage, backend.open, 2)
        quiet = Gateway(stage, run.options.binary, backend.signed, workers=2)
        filed = Gateway(stage, run.options.binary, backend.signed, workers=2, record="audit")
        for size, body in (("1 KiB", SMALL), ("64 KiB", MIDDLE)):
            arms = [
                arm(run, REFERENCE, nginx, PLAIN, body, 64),
                arm(run, "haproxy", haproxy, PLAIN, body, 64),
                arm(run, "countersign, token", quiet.process, quiet.token, body, 64),
                arm(run, "countersign, token, record in a file", filed.process, filed.token, body, 64),
                arm(run, "nobody in between", None, PLAIN, body, 64),
            ]
            case = f"{size}, c64, 2 workers"
            series = interleave(case, arms, run.options)
            run.report.series("small", case, series)
            loads_table(run.report, f"{size}, 64 connections, two workers", series)
            for found, name in FINDINGS:
                run.report.compare(f"rate/{size}{found}", series, name, "rate")
