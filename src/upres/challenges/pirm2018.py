"""PIRM 2018, perceptual super-resolution (Blau et al., ECCVW 2018): the lowest PI in each of three regions of RMSE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from upres.challenges.board import Board
from upres.challenges.entries import Entries

__all__ = ["rank", "region"]

REGIONS = (11.5, 12.5, 16.0)
"""The highest RMSE of each."""
TIE = 0.01
RULE = (
    "PIRM 2018: the lowest PI wins a region; region 1 is RMSE <= 11.5, region 2 up to 12.5, region 3 up to 16. "
    "Those whose PI is within 0.01 of the best not yet placed are tied and go by the lower RMSE."
)


def region(rmse: float) -> int | None:
    """1, 2 or 3; None where the RMSE is too high for all.

    >>> region(11.5), region(11.51), region(16), region(16.01)
    (1, 2, 3, None)
    """
    return next((number for number, highest in enumerate(REGIONS, 1) if rmse <= highest), None)


def rank(entries: Entries) -> Board:
    """Order entries by region, in it by PI, and where that is a tie by RMSE.

    "Within 0.01" does not carry over: 2.000 and 2.009 are tied, 2.009 and 2.018 too, 2.000 and 2.018 not. So ties are
    formed from the best downwards: the lowest PI not yet placed, and all within 0.01 of it. The order follows from the
    values alone, and nobody is placed before one whose PI is lower by more than 0.01.

    Args:
        entries: with `pi` and `rmse`.
    """
    rows: list[tuple[str | float | None, ...]] = []
    for number in (1, 2, 3, None):
        inside = [name for name, entry in entries.items() if region(entry["rmse"]) == number]
        for place, name in enumerate(_in_order(inside, entries), 1):
            values = entries[name]
            rows.append((number, place if number else None, name, values["pi"], values["rmse"]))
    columns = (("region", "d"), ("rank", "d"), ("model", ""), ("PI", ".3f"), ("RMSE", ".2f"))
    return Board(RULE, columns, tuple(rows))


def _in_order(names: Iterable[str], entries: Entries) -> Iterator[str]:
    left = sorted(names, key=lambda name: (entries[name]["pi"], entries[name]["rmse"], name))
    while left:
        # Rounded, because 2.033 - 2.023 is more than 0.01 in binary.
        best = entries[left[0]]["pi"]
        tied = [name for name in left if round(entries[name]["pi"] - best, 9) <= TIE]
        yield from sorted(tied, key=lambda name: entries[name]["rmse"])
        left = left[len(tied) :]
