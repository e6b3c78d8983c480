"""Callers that sign: a signature that is verified and made anew, with one local key and with many."""

import proxies
from arms import PLAIN, arm, loads_table
from backend import SMALL
from gateway import Caller, Gateway, LOCAL_SECRET, REGION, local_keys
from load import HEADERS, PATH, QUERY
from rounds import interleave
from sections.routes import CONNECTIONS, tables
from signature import sign


def measure(run):
    run.report.say("\n## Callers with local keys")
    with run.stage.act():
        one = Gateway(run.stage, run.options.binary, run.backend.signed)
        nginx = proxies.nginx(run.stage, run.backend.open)
        arms = [
            arm(run, "nginx", nginx, PLAIN, SMALL, CONNECTIONS),
            arm(run, "countersign, token", one.process, one.token, SMALL, CONNECTIONS),
            arm(run, "countersign, own key", one.process, lambda: holder(1), SMALL, CONNECTIONS),
        ]
        series = interleave("keys", arms, run.options)
        run.report.series("keys", "own key, c32", series)
        loads_table(run.report, f"1 KiB, {CONNECTIONS} connections, one worker", series)
        run.report.compare("keys/cpu", series, "countersign, own key", "cpu")
    with run.stage.act():
        arms, gateways = [], {}
        for count in [1, *run.options.many]:
            name = f"{count:,} key{'s' if count > 1 else ''}"
            gateway = Gateway(run.stage, run.options.binary, run.backend.signed, keys=count)
            gateways[name] = gateway.process
            arms.append(arm(run, name, gateway.process, lambda n=count: holder(n), SMALL, CONNECTIONS))
        tables(run, "keys", arms, gateways)


def holder(count):
    """A caller that signs with the last of so many local keys, now: signatures age."""
    _, key = local_keys(count)[-1]
    host = "keys.test"
    return Caller(host, tuple(sign("GET", host, PATH + SMALL + QUERY, HEADERS, key, LOCAL_SECRET, REGION)))
