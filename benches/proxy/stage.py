"""The stage of a run: a temporary folder, and every process that is started on it.

Whatever ends the run (its end, an error, Ctrl-C, TERM) ends those processes and removes the folder. Nothing here
listens on anything but loopback.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

LOOPBACK = "127.0.0.1"


class StageError(Exception):
    """Something did not start, or is not installed."""


def free_port():
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def program(name):
    """Where a program is; Debian has some where only root looks."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if not found:
        raise StageError(f"{name} is not installed (Debian: apt install nginx-light haproxy wrk openssl)")
    return found


def go_first(pid):
    """Lets the session of a process run before those of others; whether the system allows it (root's privilege).

    Linux groups processes by session and shares processors out among the groups: in one of its own, even work of the
    idle class takes as much as what is measured here.
    """
    try:
        Path(f"/proc/{pid}/autogroup").write_text("-20")
    except OSError:
        return False
    return True


class Started:
    """A process on the stage: where it listens, and how long it took until it did."""

    def __init__(self, name, process, port):
        self.name, self.pid, self.port = name, process.pid, port
        self.seconds = 0.0
        self._process = process

    def has_ended(self):
        return self._process.poll() is not None

    def ask_to_end(self):
        if not self.has_ended():
            self._process.terminate()

    def end(self, patience=3.0):
        """Waits for the end it was asked for; what is then left of its process group is killed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        # Each has a session of its own, so that this reaches it and its children and nothing else.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class Stage:
    """Use it with `with`. What is started goes `first`, where the system allows it."""

    def __init__(self, first=False):
        self._first = first and go_first(os.getpid())
        self.folder = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
        self._started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not leave anything behind.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        self.clear(self._started)
        shutil.rmtree(self.folder, ignore_errors=True)
        for number, handler in before.items():
            signal.signal(number, handler)

    def write(self, name, text, mode=0o600):
        """Writes a file of the stage; its path."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def start(self, name, command, port, output=None):
        """Starts a process and waits until it listens on `port`. Its standard output goes to `output`, or nowhere."""
        log = self.folder / f"{name}-{port}.log"
        began = time.perf_counter()
        try:
            with open(log, "wb") as errors, open(output or os.devnull, "ab") as standard:
                process = subprocess.Popen(
                    [str(word) for word in command],
                    stdin=subprocess.DEVNULL,
                    stdout=standard,
                    stderr=errors,
                    start_new_session=True,
                )
        except FileNotFoundError as error:
            raise StageError(f"{command[0]} is not there: {error.strerror}") from error
        started = Started(name, process, port)
        self._started.append(started)
        if self._first:
            go_first(process.pid)
        while not listens(port):
            if started.has_ended() or time.perf_counter() - began > 60:
                tail = log.read_text("utf-8", "replace")[-2000:]
                raise StageError(f"{name} does not listen on {port}:\n{tail}")
            time.sleep(0.002)
        started.seconds = time.perf_counter() - began
        return started

    def clear(self, some):
        """Ends these processes."""
        some = list(some)
        for started in some:
            started.ask_to_end()
        for started in some:
            started.end()
        self._started = [started for started in self._started if started not in some]

    @contextlib.contextmanager
    def act(self):
        """What is started within ends with it."""
        before = set(self._started)
        try:
            yield
        finally:
            self.clear(started for started in self._started if started not in before)


def listens(port):
    """Whether something takes connections there."""
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError:
        return False
    return True
