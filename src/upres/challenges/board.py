"""What every challenge's ranking comes to: a table, and the sentence that states its rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Board", "place"]


@dataclass(frozen=True)
class Board:
    """Entries in the order of a challenge."""

    rule: str
    """How the order came about, in sentences for a person."""
    columns: tuple[tuple[str, str], ...]
    """Heading and format specification of every column."""
    rows: tuple[tuple[str | float | None, ...], ...]
    """A cell for every column; None where the rules give none, as a rank to an entry that is not ranked."""

    def column(self, heading: str) -> list[str | float | None]:
        """The cells of the first column with this heading, from top to bottom."""
        index = [name for name, _ in self.columns].index(heading)
        return [row[index] for row in self.rows]


def place(value: float, values: Iterable[float]) -> int:
    """The rank of a value among values: 1 for the lowest, the same for equals.

    >>> [place(value, [3, 1, 3, 4]) for value in (1, 3, 4)]
    [1, 2, 4]
    """
    return 1 + sum(other < value for other in values)
