"""The table of calls: every check adds a row, the run prints them all at the end.

A row is (caller, route, call, expected, got, verdict). Rows live in a file, one JSON line each, because several
processes write them. Run as a program it prints the table and exits 1 when a row failed or none was written.
"""

import json
import sys

from world import WORK

ROWS = WORK / "rows.jsonl"
COLUMNS = ["caller", "route", "call", "expected", "got", "verdict"]
WIDEST = 60


def row(caller, route, call, expected, got, good=None):
    """Adds a row; without `good` the verdict is whether `got` equals `expected`."""
    good = (got == expected) if good is None else good
    cells = [str(cell).replace("\n", "⏎") for cell in (caller, route, call, expected, got)]
    with open(ROWS, "a", encoding="utf-8") as rows:
        print(json.dumps([*cells, "ok" if good else "FAILED"], ensure_ascii=False), file=rows)
    return good


def main():
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()] if ROWS.exists() else []
    # A failed row is shown whole; the others are cut to keep the table readable.
    shown = [cells if cells[-1] != "ok" else [cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…" for cell in cells] for cells in rows]
    widths = [max(len(line[i]) for line in [COLUMNS, *(s for s in shown if s[-1] == "ok")]) for i in range(len(COLUMNS))]
    for line in [COLUMNS, ["-" * width for width in widths], *shown]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    failed = [cells for cells in rows if cells[-1] != "ok"]
    if failed:
        print("\nFailed:")
        for cells in failed:
            print("  " + " | ".join(cells))
    print(f"\n{len(rows) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
