"""Large bodies: one stream each way, its speed, the processor time of a GiB and the memory that it adds."""

import proxies
from arms import PLAIN, streams_table
from backend import LARGE, SINK
from gateway import Caller, Gateway
from processes import resident
from rounds import Arm, interleave
from streams import get, measure as stream, put


def measure(run):
    run.report.say("\n## Large bodies")
    mib = run.options.mib
    for method, transfer, name, upstream in (
        ("PUT", put, SINK, (run.backend.sink, run.backend.sink)),
        ("GET", get, LARGE, (run.backend.open, run.backend.signed)),
    ):
        with run.stage.act():
            plain, signed = upstream
            # Straight to what reads or writes the body: one server less to wait for.
            nginx, haproxy = proxies.nginx(run.stage, plain), proxies.haproxy(run.stage, plain, splice=True)
            gateway = Gateway(run.stage, run.options.binary, signed)
            filed = Gateway(run.stage, run.options.binary, signed, record="audit")
            arms = [
                arm("nginx", transfer, nginx, name, PLAIN, mib),
                arm("haproxy, splice", transfer, haproxy, name, PLAIN, mib),
                arm("countersign", transfer, gateway.process, name, gateway.token, mib),
                arm("countersign, record in a file", transfer, filed.process, name, filed.token, mib),
            ]
            if method == "PUT":
                chunked = Caller("chunked.test", gateway.token.headers)
                arms.append(arm("countersign, every chunk signed", transfer, gateway.process, name, chunked, mib))
            arms.append(nobody(transfer, plain, name, mib))
            case = f"{method} {mib} MiB"
            series = interleave(case, arms, run.options)
            run.report.series("large", case, series)
            streams_table(run.report, f"{case}, one stream", series)
            run.report.compare(f"stream/{method}", series, "countersign", "cpu")
            run.report.compare(f"stream/{method} | record in a file", series, "countersign, record in a file", "cpu")


def nobody(transfer, port, name, mib):
    """The arm without a proxy."""
    return Arm("nobody in between", lambda _: stream(transfer, None, port, name, PLAIN, mib))


def arm(label, transfer, process, name, caller, mib):
    """An arm that moves one body."""
    rest = resident(process.pid)
    return Arm(label, lambda _: stream(transfer, process, process.port, name, caller, mib, rest))
