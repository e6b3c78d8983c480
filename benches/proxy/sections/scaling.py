"""More workers: requests per second, latency and processor time at 64 connections, against as many of nginx's."""

import os

import proxies
from arms import PLAIN, arm, loads_table
from backend import SMALL
from gateway import Gateway
from report import number, ratio
from rounds import interleave

CONNECTIONS = 64
ARMS = ("nginx", "haproxy", "countersign")


def measure(run):
    run.report.say(f"\n## Scaling over workers, on {os.cpu_count()} cores that also carry the load and the backend")
    rows = []
    for workers in sorted(run.options.workers):
        with run.stage.act():
            stage, backend = run.stage, run.backend
            gateway = Gateway(stage, run.options.binary, backend.signed, workers=workers)
            arms = [
                arm(run, "nginx", proxies.nginx(stage, backend.open, workers), PLAIN, SMALL, CONNECTIONS),
                arm(run, "haproxy", proxies.haproxy(stage, backend.open, workers), PLAIN, SMALL, CONNECTIONS),
                arm(run, "countersign", gateway.process, gateway.token, SMALL, CONNECTIONS),
            ]
            case = f"{workers} worker{'s' if workers > 1 else ''}"
            series = interleave(f"scaling, {case}", arms, run.options)
            run.report.series("scaling", case, series)
            loads_table(run.report, f"1 KiB, {CONNECTIONS} connections, {case}", series)
            for key in ("rate", "p99", "cpu"):
                run.report.compare(f"scaling/{workers}/{key}", series, "countersign", key)
            rows.append([
                workers,
                *(number(series.middle(name, "rate"), 0) for name in ARMS),
                *(ratio(series, "countersign", key) for key in ("rate", "p99", "cpu")),
            ])  # fmt: skip
    heads = ["workers", *(f"{name} requests/s" for name in ARMS), "× rate", "× p99", "× CPU"]
    run.report.table("All of them", heads, rows)
