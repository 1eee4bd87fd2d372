"""AIM 2020, efficient super-resolution x4 (Zhang et al., ECCVW 2020, arXiv:2009.06943): as fast and small as can be,
at the PSNR of MSRResNet.
"""

from __future__ import annotations

from upres.challenges.board import Board, place
from upres.challenges.entries import Entries, named

__all__ = ["MEASURES", "is_ranked", "rank"]

MEASURES = {
    "runtime_ms": ("runtime ms", 1, ".2f"),
    "parameters": ("parameters M", 1e6, ".3f"),
    "multiply_adds": ("FLOPs G", 1e9, ".2f"),
    "activations": ("activations M", 1e6, ".2f"),
    "memory_mb": ("memory MB", 1, ".0f"),
}
"""Column to heading, unit and format; the report calls multiply-adds FLOPs."""
RULE = (
    "AIM 2020 efficient SR: ranked are entries whose PSNR on RGB, in hundredths of a dB, is at least that of "
    "{baseline}; the order is by runtime. Every measure has its value, its ratio to {baseline} and its own rank."
)


def is_ranked(psnr: float, baseline: float) -> bool:
    """Whether an entry keeps the baseline's PSNR, both in dB, rounded to the two digits of the report's tables.

    >>> is_ranked(28.996, baseline=29.00), is_ranked(28.99, baseline=29.00)
    (True, False)
    """
    return round(psnr, 2) >= round(baseline, 2)


def rank(entries: Entries, baseline: str = "msrresnet") -> Board:
    """Order the entries by runtime and rank them in every measure; those below the baseline's PSNR follow.

    Args:
        entries: with `psnr_rgb` and, but for those whose PSNR is too low, the columns of `MEASURES`; the challenge
            counted FLOPs, activations and memory for an LR image of 256 x 256.
        baseline: the entry to compare with; it is listed last and not ranked itself.

    Raises:
        ChallengeError: if the baseline is not among the entries.
        ValueError: if a measure of the baseline is not above 0.
    """
    base = named(entries, baseline)
    for measure in MEASURES:
        if base[measure] <= 0:
            raise ValueError(f"{baseline}: {measure} must be above 0 to be compared with, not {base[measure]:g}")
    rest = sorted((name for name in entries if name != baseline), key=lambda name: (-entries[name]["psnr_rgb"], name))
    ranked = [name for name in rest if is_ranked(entries[name]["psnr_rgb"], base["psnr_rgb"])]
    ranked.sort(key=lambda name: (entries[name]["runtime_ms"], name))

    def row(name: str) -> tuple[str | float | None, ...]:
        entry, places = entries[name], dict.fromkeys(MEASURES, None)
        if name in ranked:
            places = {
                measure: place(entry[measure], (entries[other][measure] for other in ranked)) for measure in MEASURES
            }
        cells: list[str | float | None] = [places["runtime_ms"], name, entry["psnr_rgb"]]
        for measure, (_, unit, _) in MEASURES.items():
            value = entry.get(measure)
            cells += [value and value / unit, value and value / base[measure], places[measure]]
        return tuple(cells)

    columns = [("rank", "d"), ("model", ""), ("PSNR", ".2f")]
    for heading, _, form in MEASURES.values():
        columns += [(heading, form), ("ratio", ".3f"), ("#", "d")]
    order = [*ranked, *(name for name in rest if name not in ranked), baseline]
    return Board(RULE.format(baseline=baseline), tuple(columns), tuple(map(row, order)))
