"""The command line."""

import argparse
import os
from pathlib import Path

from machine import REPOSITORY

SECTIONS = ("small", "large", "memory", "tls", "scaling", "routes", "keys")


def numbers(text):
    """A list of positive numbers."""
    found = [int(word) for word in text.split(",") if word]
    if not found or min(found) < 1:
        raise argparse.ArgumentTypeError("positive numbers, with commas between them")
    return found


def sections(text):
    """A list of sections, in their own order."""
    asked = text.split(",")
    unknown = sorted(set(asked) - set(SECTIONS))
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(SECTIONS)}")
    return [section for section in SECTIONS if section in asked]


def read(words=None):
    """Reads it; bad usage ends the program."""
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(
        prog="python3 benches/proxy",
        description="Load benchmark of countersign beside nginx and haproxy, on loopback. See README.md beside this.",
    )
    add = parser.add_argument
    add("--binary", type=Path, default=REPOSITORY / "target/release/countersign", help="what is measured (default: the release build)")
    add("--only", type=sections, default=list(SECTIONS), metavar="SECTIONS", help=f"of {','.join(SECTIONS)} (default: all)")
    add("--rounds", type=int, default=7, help="rounds, after one that is thrown away (default: 7)")
    add("--seconds", type=int, default=2, help="of load for each arm in each round (default: 2)")
    add("--no-warm-up", dest="warm_up", action="store_false", help="no round is thrown away")
    add("--conc", type=numbers, default=[1, 32, 256], metavar="NUMBERS", help="connections for small bodies (default: 1,32,256)")
    add("--workers", type=numbers, default=[count for count in (1, 2, 4, 8) if count <= 2 * cores], metavar="NUMBERS",
        help="of 1,2 for small bodies, all for scaling (default: 1,2,4,8 up to twice the cores)")  # fmt: skip
    add("--idle", type=numbers, default=[10, 100, 1000, 10000], metavar="NUMBERS", help="idle connections (default: 10,100,1000,10000)")
    add("--many", type=numbers, default=[100, 10000], metavar="NUMBERS", help="routes and keys beside one (default: 100,10000)")
    add("--mib", type=int, default=1024, help="size of a large body in MiB (default: 1024)")
    add("--first", action="store_true", help="go before other work on this machine, where it allows that (root)")
    add("--json", type=Path, metavar="FILE", help="every figure of every round")
    add("--markdown", type=Path, metavar="FILE", help="the tables")
    options = parser.parse_args(words)
    if min(options.rounds, options.seconds, options.mib) < 1:
        parser.error("--rounds, --seconds and --mib are at least 1")
    options.binary = options.binary.resolve()
    if not os.access(options.binary, os.X_OK):
        parser.error(f"{options.binary} is no program; `cargo build --release` makes it, or name another with --binary")
    return options
