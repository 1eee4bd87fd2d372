"""How the learning rate goes over a stage, after its warm-up.

A schedule takes a `Moment` and gives the learning rate; its keyword-only arguments are its keys in a recipe.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from upres.training.checked import Count, Factor, Table

__all__ = ["SCHEDULES", "Moment", "Schedule", "rate"]


@dataclass(frozen=True)
class Moment:
    """A step of a stage, counted from 0."""

    step: int
    steps: int
    """Of the stage."""
    warmup: int
    """Steps of the stage that belong to the warm-up."""
    highest: float
    """The stage's learning rate."""

    @property
    def way(self) -> float:
        """How much of the stage is done since the warm-up, from 0 to below 1."""
        return (self.step - self.warmup) / max(1, self.steps - self.warmup)


Schedule = Callable[..., float]


def constant(at: Moment) -> float:
    """Always the highest."""
    return at.highest


def cosine(at: Moment, *, final: float = 0.0, period: int = 0) -> float:
    """Half a cosine down to a final rate (Loshchilov and Hutter, SGDR, ICLR 2017, equation 5).

    Args:
        at: when.
        final: the rate at the end.
        period: steps after which the end is reached and it starts again from the highest; 0 for all of the stage.
    """
    way = (at.step - at.warmup) % period / period if period else at.way
    return final + (at.highest - final) * 0.5 * (1 + math.cos(math.pi * way))


def step(at: Moment, *, every: Count, factor: Factor = 0.5) -> float:
    """Multiplied by a factor after every so many steps of the stage."""
    return at.highest * factor ** (at.step // every)


def multi_step(at: Moment, *, milestones: list[Count], factor: Factor = 0.5) -> float:
    """Multiplied by a factor at each milestone, a step of the stage."""
    return at.highest * factor ** sum(at.step >= milestone for milestone in milestones)


def knee(at: Moment, *, knee: Factor = 0.5, final: float = 1e-8) -> float:
    """Explore, then exploit: constant up to the knee, a part of the stage, then on a line down to a final rate.

    Iyer et al., "Wide-minima density hypothesis and the explore-exploit learning rate schedule" (JMLR 2023,
    arXiv:2003.03977); Bicubic++ is trained with it.
    """
    fallen = max(0.0, at.way - knee) / (1 - knee) if knee < 1 else 0.0
    return at.highest + (final - at.highest) * fallen


def one_cycle(at: Moment, *, rise: Factor = 0.3, start: Factor = 0.04, end: Factor = 4e-6) -> float:
    """Up from a small rate and down to a far smaller one (Smith and Topin 2018, arXiv:1708.07120).

    Both ways follow half a cosine. The momentum stays as it is.

    Args:
        rise: the part of the stage until the highest rate is reached.
        start: the first rate, as a part of the highest.
        end: the last one, likewise.
    """
    top = rise * at.steps - 1
    if at.step <= top:
        return _between(start, 1, at.step / top if top else 1.0) * at.highest
    return _between(1, end, (at.step - top) / (at.steps - 1 - top)) * at.highest


def _between(first: float, last: float, way: float) -> float:
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * way))


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "cosine": cosine,
    "step": step,
    "multi_step": multi_step,
    "knee": knee,
    "one_cycle": one_cycle,
}


def rate(schedule: str | Table, at: Moment) -> float:
    """The learning rate: rising on a line during the warm-up, then as the schedule has it.

    Args:
        schedule: a name in `SCHEDULES`, or a table of ``name`` and arguments.
        at: when.
    """
    if at.step < at.warmup:
        return at.highest * (at.step + 1) / at.warmup
    options = {"name": schedule} if isinstance(schedule, str) else dict(schedule)
    return SCHEDULES[options.pop("name")](at, **options)
