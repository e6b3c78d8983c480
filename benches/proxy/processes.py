"""What a process and all its children cost: time on processors to the nanosecond, and resident memory.

Reads /proc and nothing else. Memory is the sum of `VmRSS`, which counts a page that two processes share twice.
"""

import os
import threading
from pathlib import Path

TICK = 1.0 / os.sysconf("SC_CLK_TCK")


def tree(pid):
    """The process and its descendants."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        for task in tasks(pid):
            try:
                todo += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
            except OSError:
                pass  # it ended meanwhile
    return found


def tasks(pid):
    """The threads of a process; none when it ended."""
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


class Clock:
    """Time that a tree of processes has spent on processors since this was made."""

    def __init__(self, pid):
        self._pid = pid
        self._threads, self._whole = self._read()

    def _read(self):
        threads, whole = {}, {}
        for pid in tree(self._pid):
            for task in tasks(pid):
                try:
                    spent = Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0]
                except (OSError, IndexError):
                    continue
                threads[pid, task] = int(spent) * 1e-9
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            whole[pid] = (int(fields[11]) + int(fields[12])) * TICK
        return threads, whole

    def seconds(self):
        """Until now."""
        threads, whole = self._read()
        spent = sum(now - self._threads.get(key, 0.0) for key, now in threads.items())
        # A thread that ended took its own count with it; its process still has it, in ticks.
        for pid in {pid for pid, task in self._threads if (pid, task) not in threads} & set(whole):
            exact = sum(now - self._threads.get(key, 0.0) for key, now in threads.items() if key[0] == pid)
            spent += max(0.0, whole[pid] - self._whole[pid] - exact)
        return spent


def resident(pid, kind="VmRSS"):
    """Resident memory of the tree, in MiB; of kind `RssAnon` what is no page of a file, so of no program or library."""
    total = 0
    for pid in tree(pid):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{kind}:"))
    return total / 1024


class Peak:
    """The highest resident memory of a tree while a block runs, and that before it."""

    EVERY = 0.02

    def __init__(self, pid):
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.before = self.mib = 0.0

    def _watch(self):
        while not self._done.wait(self.EVERY):
            self.mib = max(self.mib, resident(self._pid))

    def __enter__(self):
        self.before = self.mib = resident(self._pid)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        self.mib = max(self.mib, resident(self._pid))
