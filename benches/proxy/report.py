"""What a run found: tables as they are measured, the findings that have a bar, and everything that went wrong.

Tables are markdown that is aligned for the eye, the same on the terminal and in a file.
"""

import json
import math
from dataclasses import dataclass
from typing import Optional

from rounds import progress


@dataclass
class Finding:
    """A figure for the summary; ratios have a lowest and a highest of all rounds."""

    measure: str
    figure: float
    unit: str = ""
    lowest: Optional[float] = None
    highest: Optional[float] = None


class Report:
    """Prints what it is told, and keeps it."""

    def __init__(self, machine):
        self.machine, self.sections, self.findings, self.errors, self._text = machine, {}, [], [], []

    def say(self, text=""):
        """A paragraph."""
        progress("")
        print(text, flush=True)
        self._text.append(text)

    def table(self, title, heads, rows, note=""):
        """A table under a heading."""
        lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
        widths = [max(len(str(line[column])) for line in lines) for column in range(len(heads))]
        self.say(f"\n### {title}\n" if title else "")
        for number, line in enumerate(lines):
            first, *others = map(str, line)
            cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:]))]
            if number == 1:
                cells = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
            self.say("| " + " | ".join(cells) + " |")
        if note:
            self.say(f"\n{note}")

    def series(self, section, case, series):
        """Keeps the figures of a case, and what went wrong in it."""
        self.sections.setdefault(section, {})[case] = series.figures
        for arm in series.figures:
            for error in series.errors(arm):
                self.wrong(f"{section}, {case}, {arm}: {error}")

    def figures(self, section, case, figures):
        """Keeps figures that no rounds were made for."""
        self.sections.setdefault(section, {})[case] = figures

    def find(self, measure, figure, unit=""):
        """A figure for the summary."""
        self.findings.append(Finding(measure, figure, unit))

    def compare(self, measure, series, arm, key):
        """A ratio for the summary."""
        every = series.ratios(arm, key)
        self.findings.append(Finding(measure, series.ratio(arm, key), "", min(every), max(every)))

    def wrong(self, error):
        """A run with errors counts for nothing; the exit code says so."""
        self.errors.append(error)

    def write(self, json_file, markdown_file):
        """Writes what was asked for."""
        if json_file:
            whole = {
                "machine": self.machine,
                "sections": self.sections,
                "findings": [vars(finding) for finding in self.findings],
                "errors": self.errors,
            }
            with open(json_file, "w", encoding="utf-8") as out:
                json.dump(whole, out, indent=1, default=str)
        if markdown_file:
            with open(markdown_file, "w", encoding="utf-8") as out:
                out.write("\n".join(self._text).strip() + "\n")


def number(value, digits=2):
    """A figure as a cell."""
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def ratio(series, arm, key):
    """A ratio as a cell: the median, and between what it moved."""
    every = [value for value in series.ratios(arm, key) if not math.isnan(value)]
    if not every:
        return "–"
    return f"{series.ratio(arm, key):.2f} ({min(every):.2f}–{max(every):.2f})"


def percent(value):
    """A share as a cell."""
    return "–" if math.isnan(value) else f"{value * 100:.0f} %"
