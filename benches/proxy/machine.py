"""On what and with what a run was made: figures mean little without it."""

import hashlib
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

from stage import program

REPOSITORY = Path(__file__).resolve().parents[2]


def said(*command):
    """What a program prints, on one line; empty when it is not there."""
    try:
        ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (ended.stdout + ended.stderr).strip().splitlines()[0] if (ended.stdout + ended.stderr).strip() else ""


def version(pattern, *command):
    """The version in what a program prints."""
    found = re.search(pattern, said(*command))
    return found[1] if found else "unknown"


def processor():
    """Its name, and whether it has instructions for SHA."""
    text = Path("/proc/cpuinfo").read_text()
    name = re.search(r"^(?:model name|Model|Hardware)\s*: (.*)", text, re.MULTILINE)
    flags = set(re.findall(r"\w+", " ".join(re.findall(r"^(?:flags|Features)\s*:(.*)", text, re.MULTILINE))))
    return name[1] if name else platform.machine(), bool(flags & {"sha_ni", "sha2"})


def describe(binary, load_before, folder):
    """Everything, by name."""
    name, has_sha = processor()
    head = said("git", "-C", REPOSITORY, "rev-parse", "--short=12", "HEAD") or "unknown"
    changed = said("git", "-C", REPOSITORY, "status", "--porcelain", "--untracked-files=no", "--", "src", "Cargo.toml", "Cargo.lock")
    built = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(binary.stat().st_mtime))
    digest = hashlib.sha256(binary.read_bytes()).hexdigest()[:12]
    beside = {
        "nginx": version(r"nginx/([0-9.]+)", program("nginx"), "-v"),
        "haproxy": version(r"version ([0-9.]+)", program("haproxy"), "-v"),
        "wrk": version(r"wrk (?:debian/)?(\S+)", program("wrk"), "-v"),
        "Python": platform.python_version(),
    }
    return {
        "processor": f"{name}, {os.cpu_count()} cores, {'with' if has_sha else 'without'} SHA instructions",
        "kernel": f"{platform.system()} {platform.release()}",
        "beside": ", ".join(f"{name} {number}" for name, number in beside.items()),
        "build": f"{said(binary, '--version')}, sources at {head}{' with changes' if changed else ''}, binary {digest} of {built}",
        "command": "python3 benches/proxy " + " ".join(sys.argv[1:]),
        "record in a file": f"on {said('stat', '--file-system', '--format=%T', folder) or 'unknown'}",
        "load average before": " ".join(f"{load:.2f}" for load in load_before),
        "began": time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime()),
    }
