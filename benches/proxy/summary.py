"""The summary: what has a bar, and whether this build on this machine meets it.

Bars are ratios to nginx in the same rounds wherever that has a meaning. `most` and `least` say which way is good.
"""

from report import number

TWO_WORKERS = "requests/s while signing, 2 workers, c64, against 2 nginx workers"

# By finding: what it is, whether at most or at least, the bar, the goal.
BARS = {
    "cpu/c32": ("CPU per request while signing, 1 KiB, c32, against nginx that signs nothing", "most", 1.15, 0.75),
    "rate/1 KiB": (f"{TWO_WORKERS}, 1 KiB", "least", 1.0, 1.2),
    "rate/64 KiB": (f"{TWO_WORKERS}, 64 KiB", "least", 1.0, 1.2),
    "p99/c32": ("p99 at c32 against nginx", "most", 1.10, 0.85),
    "p99/c256": ("p99 at c256 against nginx", "most", 1.10, 0.85),
    "stream/PUT": ("CPU per GiB streamed, PUT, against nginx", "most", 0.60, 0.22),
    "stream/GET": ("CPU per GiB streamed, GET, against nginx", "most", 0.60, 0.22),
    "memory/rest": ("resident memory at rest", "most", 8, 4),
    "memory/body": ("resident memory added by any body", "most", 12, 3),
    "memory/c256": ("resident memory with 256 connections", "most", 20, 9),
}
IN_A_FILE = ", record in a file"
SIGN = {"most": "≤", "least": "≥"}


def write(report):
    """The table of all findings that there are, those with a bar first."""
    order = list(BARS)

    def rank(finding):
        plain = finding.measure.replace(IN_A_FILE, "")
        return order.index(plain) if plain in order else len(order)

    rows = []
    for finding in sorted(report.findings, key=rank):
        plain = finding.measure.replace(IN_A_FILE, "")
        unit = f" {finding.unit}" if finding.unit else ""
        if plain not in BARS:
            rows.append([finding.measure, number(finding.figure) + unit, "–", "–", "–"])
            continue
        measure, way, bar, goal = BARS[plain]
        measure += IN_A_FILE if finding.measure != plain else ""
        rows.append([
            measure,
            number(finding.figure) + unit,
            f"{SIGN[way]} {bar:g}{unit}",
            f"{SIGN[way]} {goal:g}{unit}",
            verdict(finding.figure, way, bar, goal),
        ])  # fmt: skip
    if rows:
        report.say("\n## Summary")
        report.table("", ["measure", "figure here", "bar", "goal", "met"], rows)


def verdict(figure, way, bar, goal):
    """Whether the bar is met, and the goal."""
    reaches = (lambda limit: figure <= limit) if way == "most" else (lambda limit: figure >= limit)
    return "goal" if reaches(goal) else "yes" if reaches(bar) else "no"
