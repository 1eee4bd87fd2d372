from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from upres.training.schedules import SCHEDULES, Moment, rate

STEPS = 40


def rates(name: str, warmup: int = 0, highest: float = 0.5, **options: Any) -> list[float]:
    return [rate({"name": name, **options}, Moment(step, STEPS, warmup, highest)) for step in range(STEPS)]


def torchs(kind: Any, **options: Any) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler = kind(optimizer, **options)
    values = []
    for _ in range(STEPS):
        values.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return values


@pytest.mark.parametrize(
    ("name", "options", "kind", "theirs"),
    [
        ("step", {"every": 7}, lr_scheduler.StepLR, {"step_size": 7, "gamma": 0.5}),
        ("step", {"every": 15, "factor": 0.1}, lr_scheduler.StepLR, {"step_size": 15, "gamma": 0.1}),
        ("multi_step", {"milestones": [5, 30]}, lr_scheduler.MultiStepLR, {"milestones": [5, 30], "gamma": 0.5}),
        ("cosine", {"final": 1e-3}, lr_scheduler.CosineAnnealingLR, {"T_max": STEPS, "eta_min": 1e-3}),
        ("cosine", {"period": 15}, lr_scheduler.CosineAnnealingWarmRestarts, {"T_0": 15}),
        ("cosine", {"period": 100}, lr_scheduler.CosineAnnealingLR, {"T_max": 100}),
        ("constant", {}, lr_scheduler.ConstantLR, {"factor": 1}),
    ],
)
def test_schedules_are_those_of_pytorch(name: str, options: Any, kind: Any, theirs: Any) -> None:
    assert rates(name, **options) == pytest.approx(torchs(kind, **theirs))


@pytest.mark.parametrize("rise", [0.25, 0.3, 0.5])
def test_one_cycle_is_pytorchs_without_the_momentum(rise: float) -> None:
    theirs = {"max_lr": 0.5, "total_steps": STEPS + 1, "pct_start": rise, "div_factor": 25}
    mine = [rate({"name": "one_cycle", "rise": rise}, Moment(step, STEPS + 1, 0, 0.5)) for step in range(STEPS)]
    assert mine == pytest.approx(torchs(lr_scheduler.OneCycleLR, **theirs, cycle_momentum=False))


def test_the_knee_is_where_a_line_begins() -> None:
    values = rates("knee", knee=0.5, final=1e-8)
    assert values[:21] == [0.5] * 21
    falls = [a - b for a, b in pairwise(values[20:])]
    assert falls == pytest.approx([0.5 / 20] * 19, rel=1e-6)
    assert rate({"name": "knee"}, Moment(STEPS, STEPS, 0, 0.5)) == pytest.approx(1e-8)


@pytest.mark.parametrize("name", ["constant", "cosine", "knee"])
def test_the_warm_up_comes_first(name: str) -> None:
    values = rates(name, warmup=5)
    assert values[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert values[5] == max(values)


def test_a_name_alone_is_a_schedule_with_its_defaults() -> None:
    for name in set(SCHEDULES) - {"step", "multi_step"}:
        at = Moment(17, STEPS, 0, 0.5)
        assert rate(name, at) == rate({"name": name}, at)
