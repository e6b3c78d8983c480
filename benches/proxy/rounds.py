"""Rounds: every arm is measured once in each, in an order that moves on by one, and compared with the reference of the
same round. What disturbs the machine for a while then disturbs all of them, and ratios hold where times do not.
"""

import statistics
import sys
from dataclasses import dataclass
from typing import Any, Callable

NOTHING = float("nan")


@dataclass(frozen=True)
class Arm:
    """Something that is measured beside others."""

    name: str
    measure: Callable[[bool], Any]  # is told whether this is the warm-up; gives a dict of figures with `errors`


def interleave(what, arms, options):
    """Measures; the warm-up round before them is thrown away."""
    series = Series(arms[0].name, {arm.name: [] for arm in arms})
    rounds = options.rounds
    for number in range(0 if options.warm_up else 1, rounds + 1):
        turn = number % len(arms)
        for arm in arms[turn:] + arms[:turn]:
            progress(f"{what}: round {number} of {rounds}, {arm.name}")
            figures = arm.measure(number == 0)
            if number:
                series.figures[arm.name].append(figures)
    progress("")
    return series


def progress(text):
    """A line that replaces the last one, where a person looks."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text[:100]}")
        sys.stderr.flush()


@dataclass
class Series:
    """The figures of all arms, round by round; ratios are to the reference."""

    reference: str
    figures: dict

    def middle(self, arm, key):
        """The median."""
        return statistics.median(self._all(arm, key))

    def spread(self, arm, key):
        """Highest less lowest, as a share of the median."""
        every, middle = self._all(arm, key), self.middle(arm, key)
        return (max(every) - min(every)) / middle if middle else NOTHING

    def ratios(self, arm, key):
        """Round by round."""
        pairs = zip(self._all(arm, key), self._all(self.reference, key))
        return [own / other if other else NOTHING for own, other in pairs]

    def ratio(self, arm, key):
        """The median of the ratios."""
        return statistics.median(self.ratios(arm, key))

    def errors(self, arm):
        """What went wrong in any round."""
        return [error for figures in self.figures[arm] for error in figures["errors"]]

    def _all(self, arm, key):
        return [figures.get(key, NOTHING) for figures in self.figures[arm]]
