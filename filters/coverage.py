"""Coverage: how many terms each category has, against the figures of the standard.

The figures are reference points, not law: TC260-003 (2024) section 8.1 and GB/T 45654-2025, as quoted by filing guides,
say that a keyword library *should* hold 10,000 terms, 200 for each of the 8 kinds of A.1, 100 for each of the 9 of A.2,
and be updated once a week.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from filters import taxonomy

TOTAL = 10_000
PER_KIND: Mapping[str, int] = {"A1": 200, "A2": 100}
UPDATE_DAYS = 7


@dataclass(frozen=True, slots=True)
class Coverage:
    """One category: terms of its own, ``below`` it too, how many the standard wants (0: none) and how many lack."""

    code: str
    imported: int
    active: int
    below: int
    wanted: int

    @property
    def missing(self) -> int:
        """How many terms lack."""
        return max(0, self.wanted - self.below)


def cover(active: Mapping[str, int], imported: Mapping[str, int]) -> list[Coverage]:
    """Cover every category, in the taxonomy's order. Counts are of terms by their own code."""
    return [
        Coverage(code, imported.get(code, 0), active.get(code, 0), _below(code, active), _wanted(code))
        for code in taxonomy.CATEGORIES
    ]


def _below(code: str, counts: Mapping[str, int]) -> int:
    return sum(number for other, number in counts.items() if f"{other}.".startswith(f"{code}."))


def _wanted(code: str) -> int:
    """What is wanted of a kind, which is a code with one dot; A1.h.drugs counts for A1.h."""
    group, _, rest = code.partition(".")
    return 0 if "." in rest else PER_KIND.get(group, 0)
