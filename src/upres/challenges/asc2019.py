"""ASC 2019, the student supercomputer challenge: Single Image Super-Resolution of its preliminary round.

S = S_PI + S_prop, 30 points together, with S_PI = 20 / (PI / PI_min)^4 and PI and RMSE as PIRM 2018 measures them
(ASC19 preliminary round notification, "Single Image Super Resolution Challenge").
"""

from __future__ import annotations

from upres.challenges.board import Board, place
from upres.challenges.entries import Entries

__all__ = ["COUNT", "PARTS", "RMSE_ABOVE", "RMSE_BELOW", "ROOT", "SCALE", "is_valid", "rank", "score_pi"]

SCALE = 4
COUNT = 80
"""Pictures that a team reconstructs."""
ROOT = "Single Image Super Resolution Challenge"
"""The folder that a team hands in."""
PARTS = ("HR_images", "script", "model")
"""The folders in it: the reconstructed pictures, the source code, the model."""

RMSE_ABOVE, RMSE_BELOW = 8, 18
POINTS_PI, POINTS_PROPOSAL = 20, 10
RULE = (
    f"ASC 2019: score = S_PI + S_prop; S_PI = {POINTS_PI} / (PI / PI_min)^4, "
    f"0 unless {RMSE_ABOVE} < RMSE < {RMSE_BELOW}; S_prop, the proposal, up to {POINTS_PROPOSAL}. "
    "PI_min is the lowest PI of the entries with such an RMSE."
)


def is_valid(rmse: float) -> bool:
    """Whether the PI of pictures with this RMSE counts.

    >>> is_valid(8), is_valid(8.01), is_valid(17.99), is_valid(18)
    (False, True, True, False)
    """
    return RMSE_ABOVE < rmse < RMSE_BELOW


def score_pi(pi: float, rmse: float, pi_min: float) -> float:
    """S_PI, 0 to 20.

    Args:
        pi: the perceptual index of an entry, lower is better.
        rmse: its RMSE on 8-bit luma.
        pi_min: the lowest PI of all entries.

    >>> score_pi(2, rmse=15, pi_min=2), score_pi(4, rmse=15, pi_min=2), score_pi(2, rmse=20, pi_min=2)
    (20.0, 1.25, 0.0)

    Raises:
        ValueError: if a PI is not above 0.
    """
    if not is_valid(rmse):
        return 0.0
    if not (pi > 0 and pi_min > 0):
        raise ValueError(f"a perceptual index is above 0, not {min(pi, pi_min)}")
    return POINTS_PI * (pi_min / pi) ** 4


def rank(entries: Entries) -> Board:
    """Order entries by S_PI + S_prop.

    Args:
        entries: with `pi`, `rmse` and, where the proposal has been judged, `proposal` (0 to 10).

    Raises:
        ValueError: if a proposal has more points than there are, or a PI is not above 0.
    """
    pi_min = min((entry["pi"] for entry in entries.values() if is_valid(entry["rmse"])), default=0.0)
    points = {}
    for name, entry in entries.items():
        proposal = entry.get("proposal", 0.0)
        if not 0 <= proposal <= POINTS_PROPOSAL:
            raise ValueError(f"{name}: the proposal has {proposal:g} points; there are 0 to {POINTS_PROPOSAL}")
        points[name] = (score_pi(entry["pi"], entry["rmse"], pi_min), proposal)
    totals = {name: sum(points[name]) for name in sorted(points, key=lambda name: (-sum(points[name]), name))}
    columns = (
        ("rank", "d"),
        ("model", ""),
        ("score", ".2f"),
        ("S_PI", ".2f"),
        ("S_prop", ".1f"),
        ("PI", ".3f"),
        ("RMSE", ".2f"),
    )
    rows = (
        (
            place(-total, (-other for other in totals.values())),
            name,
            total,
            *points[name],
            entries[name]["pi"],
            entries[name]["rmse"],
        )
        for name, total in totals.items()
    )
    return Board(RULE, columns, tuple(rows))
