"""The summary: what was found, in words, and whether this build on this machine meets the bar, where there is one.

Bars are ratios to nginx in the same rounds wherever that has a meaning.
"""

import re
from dataclasses import dataclass
from typing import Optional

from report import number


@dataclass(frozen=True)
class Bar:
    """At most or at least so much; the goal is where this shall be one day."""

    sign: str  # ≤ or ≥
    bar: float
    goal: float

    def verdict(self, figure):
        """Whether it is met, and the goal."""
        return "goal" if self.holds(figure, self.goal) else "yes" if self.holds(figure, self.bar) else "no"

    def holds(self, figure, limit):
        """Whether a figure is on the right side."""
        return figure <= limit if self.sign == "≤" else figure >= limit


FLAT = Bar("≤", 1.10, 1.05)
TWO = "requests/s while signing, 2 workers, c64, against 2 nginx workers"
# Which findings there are, in the order of the table: pattern, words, bar. The first pattern that matches counts.
MEASURES = (
    (r"cpu/c32", "CPU per request while signing, 1 KiB, c32, against nginx that signs nothing", Bar("≤", 1.15, 0.75)),
    (r"rate/(.*)", f"{TWO}, {{}}", Bar("≥", 1.0, 1.2)),
    (r"p99/c(32|256)", "p99 at c{} against nginx", Bar("≤", 1.10, 0.85)),
    (r"stream/(PUT|GET)", "CPU per GiB streamed, {}, against nginx", Bar("≤", 0.60, 0.22)),
    (r"memory/rest", "resident memory at rest", Bar("≤", 8, 4)),
    (r"memory/body", "resident memory added by a large body", Bar("≤", 12, 3)),
    (r"memory/c256", "resident memory with 256 connections", Bar("≤", 20, 9)),
    (r"routes/flat/(.*)", "CPU per request with {} against one", FLAT),
    (r"keys/flat/(.*)", "CPU per request with {} against one", FLAT),
    (r"cpu/c(\d+)", "CPU per request while signing, 1 KiB, c{}, against nginx that signs nothing", None),
    (r"p99/c(\d+)", "p99 at c{} against nginx", None),
    (r"scaling/(\d+)/rate", "requests/s while signing, c64, workers: {}, against as many of nginx's", None),
    (r"scaling/(\d+)/p99", "p99, c64, workers: {}, against as many of nginx's", None),
    (r"scaling/(\d+)/cpu", "CPU per request while signing, c64, workers: {}, against as many of nginx's", None),
    (r"tls/rate/(.*)", "TLS upstream: requests/s, {}, c32, against nginx with `proxy_ssl`", None),
    (r"tls/p99/(.*)", "TLS upstream: p99, {}, c32, against nginx with `proxy_ssl`", None),
    (r"tls/cpu/(.*)", "TLS upstream: CPU per request, {}, c32, against nginx with `proxy_ssl`", None),
    (r"tls/stream/(.*)", "TLS upstream: CPU per GiB streamed, {}, against nginx with `proxy_ssl`", None),
    (r"tls/cold/cpu", "TLS upstream: CPU per request, a new connection each, against nginx with `proxy_ssl`", None),
    (r"tls/cold/resumed", "TLS upstream: new connections that resumed a session", None),
    (r"keys/cpu", "CPU per request with a signature to verify, c32, against nginx that does neither", None),
    (r"idle/each", "resident memory of an idle connection", None),
)


@dataclass(frozen=True)
class Row:
    """A finding in words."""

    order: int
    words: str
    bar: Optional[Bar]


def put(finding):
    """Puts a finding into words; ` | ` parts a measure from what was different in this arm."""
    measure, _, arm = finding.measure.partition(" | ")
    for order, (pattern, words, bar) in enumerate(MEASURES):
        found = re.fullmatch(pattern, measure)
        if found:
            return Row(order, words.format(*found.groups()) + (f", {arm}" if arm else ""), bar)
    raise KeyError(finding.measure)


def write(report):
    """The table."""
    rows = []
    for row, finding in sorted(((put(finding), finding) for finding in report.findings), key=lambda pair: pair[0].order):
        unit = f" {finding.unit}" if finding.unit else ""
        between = f"{number(finding.lowest)}–{number(finding.highest)}" if finding.lowest is not None else "–"
        limits = [f"{row.bar.sign} {limit:g}{unit}" for limit in (row.bar.bar, row.bar.goal)] if row.bar else ["–", "–"]
        met = row.bar.verdict(finding.figure) if row.bar else "–"
        rows.append([row.words, number(finding.figure) + unit, between, *limits, met])
    if rows:
        report.say("\n## Summary")
        report.table("", ["measure", "figure here", "between", "bar", "goal", "met"], rows)
