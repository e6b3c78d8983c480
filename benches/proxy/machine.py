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


def sources(built):
    """The commit of this repository, and whether the binary can have been made of it."""
    git = ("git", "-C", REPOSITORY)
    head = said(*git, "rev-parse", "--short=12", "HEAD")
    if not re.fullmatch("[0-9a-f]{12}", head):
        return "no git repository"
    of_the_binary = ("src", "build.rs", "Cargo.toml", "Cargo.lock")
    if said(*git, "status", "--porcelain", "--untracked-files=no", "--", *of_the_binary):
        head += ", with changes"
    files = [path for name in of_the_binary for path in ((REPOSITORY / name).rglob("*") if name == "src" else [REPOSITORY / name])]
    if any(path.stat().st_mtime > built for path in files if path.is_file()):
        head += "; some are newer than the binary"
    return head


def describe(binary, load_before, folder):
    """Everything, by name."""
    name, has_sha = processor()
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
        "binary": f"{said(binary, '--version')}, built {built}, SHA-256 {digest}…",
        "sources beside it": sources(binary.stat().st_mtime),
        "command": "python3 benches/proxy " + " ".join(sys.argv[1:]),
        "record in a file": f"on {said('stat', '--file-system', '--format=%T', folder) or 'unknown'}",
        "load average before": " ".join(f"{load:.2f}" for load in load_before),
        "began": time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime()),
    }
