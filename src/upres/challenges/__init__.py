"""Challenges of super-resolution: plain functions from measured numbers to scores and ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from upres.challenges import aim2020, asc2019, ntire2023, pirm2018
from upres.challenges.board import Board
from upres.challenges.entries import Entries, Entry, read_entries
from upres.errors import ChallengeError

__all__ = ["COMPARED", "RULES", "Board", "Entries", "Entry", "rank", "read_entries"]

RULES: dict[str, Callable[..., Board]] = {
    "asc2019": asc2019.rank,
    "pirm2018": pirm2018.rank,
    "aim2020": aim2020.rank,
    "ntire2023": ntire2023.rank,
}

COMPARED = {"aim2020", "ntire2023"}
"""Those that compare with an entry, which `baseline` names."""


def rank(rules: str, entries: Entries, baseline: str | None = None) -> Board:
    """The board of a challenge for these entries.

    Args:
        rules: a key of `RULES`.
        entries: see the challenge's own function for the columns that it needs.
        baseline: the entry that others are compared with, where it does not bear its usual name.

    Raises:
        ChallengeError: for unknown rules, a baseline that is not there or not used, or numbers that are missing.
        ValueError: for numbers that cannot be.
    """
    if rules not in RULES:
        raise ChallengeError(f"no challenge is called {rules!r}: choose one of {', '.join(RULES)}")
    if baseline is not None and rules not in COMPARED:
        raise ChallengeError(f"the rules of {rules} compare with no entry: leave --baseline out")
    options: dict[str, Any] = {} if baseline is None else {"baseline": baseline}
    return RULES[rules](entries, **options)
