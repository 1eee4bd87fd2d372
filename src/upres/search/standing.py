"""How a search stands: what its candidates are worth, which of them are best, and why there may be none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upres.search.front import Value, best, hypervolume
from upres.search.plan import Plan
from upres.search.proxy import rank_correlation
from upres.search.store import Candidate, Store

__all__ = [
    "Standing",
    "front_of",
    "hypervolume_of",
    "objectives_of",
    "reference_of",
    "standing",
    "violations_of",
    "why_none",
]

LOWEST = 0.0  # dB, in the place of what was not trained


@dataclass(frozen=True)
class Standing:
    """How far a search is."""

    evaluated: int
    total: int
    front: list[Candidate]
    """What meets all constraints and nothing else beats, by falling PSNR."""
    hypervolume: float
    """Of the front: see `hypervolume_of`."""
    seconds_left: float | None
    correlation: float | None = None
    """Spearman's, between the proxy and the longer training; None before it is known."""


def objectives_of(plan: Plan, candidate: Candidate) -> list[float]:
    """In the plan's order; less is better, so PSNR is negative."""
    values = {**candidate.costs, "psnr": -(candidate.psnr or LOWEST)}
    return [values[name] for name in plan.objectives]


def violations_of(plan: Plan, candidate: Candidate) -> list[float]:
    """By which part constraints are not met, in the plan's order, 0 or below where they are; last, whether trained."""
    trained = candidate.psnr is not None
    return [
        *(
            (limit - (candidate.psnr or LOWEST)) / limit if name == "psnr" else (candidate.costs[name] - limit) / limit
            for name, limit in plan.constraints.items()
        ),
        0.0 if trained else 1.0,
    ]


def value_of(plan: Plan, candidate: Candidate) -> Value:
    """For `upres.search.front`."""
    violation = sum(max(0.0, part) for part in violations_of(plan, candidate))
    return np.array(objectives_of(plan, candidate)), violation


def front_of(plan: Plan, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that are trained and meet all constraints, and that none beats, by falling PSNR."""
    judged = [candidate for candidate in candidates if candidate.status != "waiting"]
    places = best([value_of(plan, candidate) for candidate in judged])
    return sorted((judged[place] for place in places), key=lambda candidate: -(candidate.psnr or LOWEST))


def hypervolume_of(plan: Plan, candidates: Sequence[Candidate], reference: NDArray[np.float64] | None = None) -> float:
    """The hypervolume of the front.

    PSNR counts in dB, and costs as parts of the reference's: so it is the gain over the reference's PSNR in dB, mean
    over all limits on costs up to the reference's.

    Args:
        plan: of the search.
        candidates: of it.
        reference: in the order of `objectives_of`; by default that of `reference_of`.
    """
    reference = reference_of(plan, candidates) if reference is None else reference
    points = np.array([objectives_of(plan, candidate) for candidate in front_of(plan, candidates)])
    if reference is None or not len(points):
        return 0.0
    psnr = np.array(plan.objectives) == "psnr"
    units = np.where(psnr, 1.0, np.abs(reference))
    return hypervolume(points / units, reference / units)


def reference_of(plan: Plan, candidates: Sequence[Candidate]) -> NDArray[np.float64] | None:
    """Constraints, and where there are none the worst values of the first generation; None before it is trained."""
    first = [candidate for candidate in candidates if candidate.generation == 0 and candidate.psnr is not None]
    if not first:
        return None
    worst = np.max([objectives_of(plan, candidate) for candidate in first], axis=0)
    limits = {name: -limit if name == "psnr" else limit for name, limit in plan.constraints.items()}
    return np.array([limits.get(name, value) for name, value in zip(plan.objectives, worst, strict=True)])


def standing(plan: Plan, store: Store) -> Standing:
    """How a search stands, by its file."""
    candidates = store.candidates()
    judged = [candidate for candidate in candidates if candidate.status != "waiting"]
    longer = store.longer()
    correlation = None
    if longer:
        psnr = {candidate.number: candidate.psnr for candidate in candidates}
        correlation = rank_correlation([psnr[number] or LOWEST for number in longer], list(longer.values()))
    front, volume = front_of(plan, candidates), hypervolume_of(plan, candidates)
    return Standing(len(judged), plan.evaluations, front, volume, None, correlation)


def why_none(plan: Plan, candidates: Sequence[Candidate]) -> str:
    """Why a search has no front, by what came nearest."""
    parts = []
    for name, limit in plan.constraints.items():
        if name == "psnr":
            values = [candidate.psnr for candidate in candidates if candidate.psnr is not None]
            parts.append(f"psnr of at least {limit:g} dB (the best has {max(values, default=LOWEST):.2f})")
        else:
            values = [candidate.costs[name] for candidate in candidates if name in candidate.costs]
            parts.append(f"{name} of at most {limit:g} (the least is {min(values, default=math.inf):.4g})")
    errors = sorted({candidate.error for candidate in candidates if candidate.status == "failed"})
    failed = f"; what failed: {'; '.join(errors)}" if errors else ""
    wanted = " together with ".join(parts) or "only that a training ends"
    return (
        f"none of the {len(candidates)} networks that were looked at meets the constraints, {wanted}{failed}; "
        "loosen them, train candidates longer, or look at more"
    )
