"""The load benchmark still runs: every section in its smallest form, without a look at any time.

Also that what is wrong fails it (a gateway that signs nothing, one that does not start), and that it leaves nothing behind,
told to stop or not. It needs nginx, haproxy and wrk.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from table import row
from world import REPOSITORY, WORK

PROGRAM = REPOSITORY / "benches" / "proxy"
FOLDER = WORK / "benchmark"
SMALLEST = ["--rounds", "1", "--no-warm-up", "--seconds", "1", "--conc", "2", "--workers", "1", "--mib", "8", "--idle", "5"]
SMALLEST += ["--many", "3"]
# Each of these is a run of its own, all at the same time; how many cases each section has.
RUNS = ("small", "memory", "large,scaling", "tls", "routes,keys")
CASES = {"small": 1, "large": 2, "memory": 2, "tls": 5, "scaling": 1, "routes": 2, "keys": 3}
# What answers to `serve --config FILE` like a gateway, and passes every byte on as it came.
SIGNS_NOTHING = """#!{python}
import re, socket, sys, threading
text = open(sys.argv[sys.argv.index("--config") + 1]).read()
port = int(re.search(r'listen  = .".*:([0-9]+)"', text)[1])
upstream = int(re.search(r'upstream = "http://.*:([0-9]+)"', text)[1])
def pump(one, other):
    while data := one.recv(65536):
        other.sendall(data)
listener = socket.create_server(("127.0.0.1", port))
while True:
    one, _ = listener.accept()
    other = socket.create_connection(("127.0.0.1", upstream))
    for pair in ((one, other), (other, one)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


def hears_interrupts():
    """A shell has what it starts in the background ignore them, and so would all that comes of it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Benchmark:
    """One run of it, with a folder for temporary files of its own."""

    def __init__(self, name, *words, binary=None):
        self.folder = FOLDER / name
        self.folder.mkdir(parents=True)
        self.figures = FOLDER / f"{name}.json"
        self._output = open(FOLDER / f"{name}.txt", "w+", encoding="utf-8")
        command = [sys.executable, PROGRAM, "--binary", binary or os.environ["COUNTERSIGN"], "--json", self.figures, *words]
        environment = {**os.environ, "TMPDIR": str(self.folder)}
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=hears_interrupts,
        )

    def wait(self):
        """Its exit code."""
        return self.process.wait(240)

    def output(self):
        """What it printed."""
        self._output.seek(0)
        return self._output.read()

    def left(self):
        """Files that it left, and processes: its folder is in their environment or command line."""
        found = [str(path) for path in self.folder.iterdir()]
        for process in Path("/proc").glob("[0-9]*"):
            for file in ("cmdline", "environ"):
                with contextlib.suppress(OSError):  # it ended meanwhile, or shows itself to nobody
                    if str(self.folder).encode() in (process / file).read_bytes():
                        found.append((process / "cmdline").read_text("utf-8", "replace").replace("\0", " "))
        return ", ".join(found) or "nothing"


def sections(run):
    """What each section found: how many cases, and whether every arm has figures and no errors."""
    if not run.figures.exists():
        return {}
    found = json.loads(run.figures.read_text(encoding="utf-8"))
    told = {name: len(cases) for name, cases in found["sections"].items()}
    for name, cases in found["sections"].items():
        for case, arms in cases.items():
            for arm, rounds in arms.items():
                if not rounds or (isinstance(rounds, list) and any(figures["errors"] or not figures["rate"] > 0 for figures in rounds)):
                    told[name] = f"{case}: {arm}: {rounds}"
    return told


def measures(asked, run):
    """A run in its smallest form."""
    code = run.wait()
    row("benches/proxy", "all proxies", f"--only {asked}: exit code", 0, code if code == 0 else f"{code}: {run.output()[-1500:]}")
    told = sections(run)
    for section in asked.split(","):
        row("benches/proxy", "all proxies", f"{section}: cases that were measured", CASES[section], told.get(section, "none"))


def fails(what, run, told):
    """A run with something wrong."""
    row("benches/proxy", what, f"{what}: exit code", 1, run.wait())
    row("benches/proxy", what, f"{what}: told", True, told in run.output())


def stops(run, number, expected):
    """A run that is told to stop half-way."""
    end = time.monotonic() + 30
    while time.monotonic() < end and not list(run.folder.glob("*/audit-*.jsonl")):
        time.sleep(0.05)
    time.sleep(1)  # wrk is at work
    run.process.send_signal(number)
    row("benches/proxy", "all proxies", f"{number.name} half-way: exit code", expected, run.wait())


def main():
    fake = FOLDER / "signs-nothing"
    FOLDER.mkdir()
    fake.write_text(SIGNS_NOTHING.format(python=sys.executable), encoding="utf-8")
    fake.chmod(0o755)
    small = ["--only", "small", *SMALLEST]
    long = [*small, "--seconds", "20"]
    stopped = [(Benchmark(number.name, *long), number, code) for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143))]
    whole = [(asked, Benchmark(asked.replace(",", "-"), "--only", asked, *SMALLEST)) for asked in RUNS]
    unsigned, dead = Benchmark("unsigned", *small, binary=fake), Benchmark("dead", *small, binary="/bin/false")
    for run, number, code in stopped:
        stops(run, number, code)
    fails("calls that nobody signed", unsigned, "answers were no 2xx")
    fails("a gateway that does not start", dead, "countersign1 does not listen")
    for asked, run in whole:
        measures(asked, run)
    for run in (unsigned, dead, *(run for run, *_ in stopped), *(run for _, run in whole)):
        row("benches/proxy", "all proxies", f"{run.folder.name}: left behind", "nothing", run.left())


if __name__ == "__main__":
    main()
