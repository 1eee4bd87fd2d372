"""NTIRE 2023, real-time 4K super-resolution (Conde et al., CVPRW 2023): PSNR above bicubic against runtime."""

from __future__ import annotations

import math

from upres.challenges.board import Board, place
from upres.challenges.entries import Entries, named

__all__ = ["rank", "score"]

RULE = (
    "NTIRE 2023 real-time SR: score = 2^(PSNR - PSNR of {baseline}) * 2 / (0.1 * sqrt(runtime in ms)), "
    "0 unless the PSNR on RGB is above that of {baseline}."
)


def score(psnr: float, runtime_ms: float, psnr_bicubic: float) -> float:
    """The score of the challenge: a dB doubles it, and so does a quarter of the runtime.

    Args:
        psnr: on RGB, in dB.
        runtime_ms: of one picture, in milliseconds.
        psnr_bicubic: of bicubic upscaling of the same pictures.

    >>> score(32, runtime_ms=4, psnr_bicubic=31), score(31, runtime_ms=4, psnr_bicubic=31)
    (20.0, 0.0)

    Raises:
        ValueError: if the runtime is not above 0, or the PSNR is none in dB.
    """
    if not (runtime_ms > 0 and psnr < 1000):
        raise ValueError(f"a runtime is above 0 ms and a PSNR in dB, not {runtime_ms:g} ms and {psnr:g} dB")
    if psnr <= psnr_bicubic:
        return 0.0
    return 2 ** (psnr - psnr_bicubic) * 2 / (0.1 * math.sqrt(runtime_ms))


def rank(entries: Entries, baseline: str = "bicubic") -> Board:
    """Order entries by their score.

    Args:
        entries: with `psnr_rgb` and, but for the baseline, `runtime_ms`.
        baseline: the entry of bicubic upscaling; it is listed last and not ranked itself.

    Raises:
        ChallengeError: if the baseline is not among the entries.
        ValueError: see `score`.
    """
    floor = named(entries, baseline)["psnr_rgb"]
    scores = {
        name: score(entry["psnr_rgb"], entry["runtime_ms"], floor)
        for name, entry in entries.items()
        if name != baseline
    }
    rows: list[tuple[str | float | None, ...]] = [
        (
            place(-scores[name], (-other for other in scores.values())),
            name,
            scores[name],
            entries[name]["psnr_rgb"],
            entries[name]["runtime_ms"],
        )
        for name in sorted(scores, key=lambda name: (-scores[name], name))
    ]
    rows.append((None, baseline, None, floor, entries[baseline].get("runtime_ms")))
    columns = (("rank", "d"), ("model", ""), ("score", ".2f"), ("PSNR", ".2f"), ("runtime ms", ".2f"))
    return Board(RULE.format(baseline=baseline), columns, tuple(rows))
