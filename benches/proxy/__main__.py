"""The load benchmark: reads the command line, measures each section that was asked for, ends everything it started.

Exit code: 0 when every run was free of errors, 1 when one was not or something did not start, 2 for bad usage, 130 and
143 when it was told to stop. A bar that is missed is no error.
"""

import contextlib
import importlib
import os
import resource
import signal
import sys
from dataclasses import dataclass
from typing import Any

import machine
import options
import summary
from backend import Backend
from load import THREADS
from report import Report
from stage import Stage, StageError

# Ten thousand idle connections, and a proxy that counts each of them twice.
OPEN_FILES = 65536


@dataclass
class Run:
    """What every section is given."""

    options: Any
    stage: Stage
    backend: Backend
    report: Report


def stop(number, _frame):
    """TERM ends like Ctrl-C: through every `with`."""
    raise SystemExit(128 + number)


def raise_limits():
    """As many open files as the system allows, for this and for all that it starts; root may allow itself more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (most, max(most, OPEN_FILES)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def measure(asked):
    """All sections; the report."""
    load_before = os.getloadavg()
    with Stage(asked.first) as stage:
        report = Report(machine.describe(asked.binary, load_before, stage.folder))
        report.say("# countersign under load\n")
        for name, text in report.machine.items():
            report.say(f"- {name}: {text}")
        if load_before[0] > 0.5:
            report.say("\nThe machine was not idle: read ratios, not times, and ask for more rounds.")
        backend = Backend(stage, asked.mib, THREADS)
        backend.prove()
        run = Run(asked, stage, backend, report)
        for section in asked.only:
            try:
                importlib.import_module(f"sections.{section}").measure(run)
            except StageError as error:
                report.wrong(f"{section}: {error}")
    return report


def main():
    asked = options.read()
    signal.signal(signal.SIGTERM, stop)
    raise_limits()
    try:
        report = measure(asked)
    except StageError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    summary.write(report)
    if report.errors:
        report.say("\nERRORS, so that these runs count for nothing:\n")
        for error in report.errors:
            report.say(f"- {error}")
    report.write(asked.json, asked.markdown)
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
