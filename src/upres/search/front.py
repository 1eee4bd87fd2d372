"""What is best by several objectives at once, and how good a front is. Less is better for all of them here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pymoo.indicators.hv import HV

__all__ = ["Value", "beats", "best", "hypervolume"]

Value = tuple[NDArray[np.float64], float]
"""Objectives, and by how much constraints are violated."""


def beats(first: Value, second: Value) -> bool:
    """Whether the first dominates the second, under constraints (Deb et al. 2002, definition 1)."""
    if first[1] or second[1]:
        return first[1] < second[1]
    return bool((first[0] <= second[0]).all() and (first[0] < second[0]).any())


def best(values: Sequence[Value]) -> list[int]:
    """The places of those that meet all constraints and that none beats."""
    feasible = [place for place, value in enumerate(values) if not value[1]]
    return [place for place in feasible if not any(beats(values[other], values[place]) for other in feasible)]


def hypervolume(objectives: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """The volume between a front, (points, objectives), and a reference point that it should beat (Zitzler 1999)."""
    return float(HV(ref_point=reference)(objectives)) if len(objectives) else 0.0
