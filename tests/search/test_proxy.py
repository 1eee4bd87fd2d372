import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load

from upres.networks import NetworkSpec
from upres.search.plan import Plan
from upres.search.proxy import Job, Start, evaluate, rank_correlation

SPEC = NetworkSpec("bicubicpp", {"scale": 2, "channels": 4, "anchor": True})


@pytest.fixture(scope="module")
def job(plan: Callable[..., Plan]) -> Job:
    small = plan()
    return Job(1, SPEC, small.data, small.stage, seed=0)


def test_what_it_finds_depends_on_the_job_alone(job: Job) -> None:
    first, second = evaluate(job), evaluate(replace(job, number=2))
    assert first.psnr == second.psnr
    assert first.rungs == second.rungs
    assert first.weights == second.weights
    assert evaluate(replace(job, seed=1)).psnr != first.psnr
    assert not first.stopped
    assert not first.error
    assert len(first.rungs) == 2


def test_it_goes_on_from_the_weights_that_it_is_given(job: Job) -> None:
    first = evaluate(job)
    longer = evaluate(replace(job, start=Start(SPEC, first.weights)))
    assert longer.psnr > first.psnr
    frozen = evaluate(replace(job, start=Start(SPEC, first.weights), stage=replace(job.stage, learning_rate=0.0)))
    assert frozen.psnr == first.psnr
    assert all(torch.equal(tensor, load(first.weights)[name]) for name, tensor in load(frozen.weights).items())


def test_what_is_hopeless_is_stopped(job: Job) -> None:
    whole = evaluate(job)
    early = evaluate(replace(job, bars=(99.0, 99.0)))
    assert early.stopped
    assert early.psnr == whole.rungs[0]
    assert early.rungs == whole.rungs[:1]
    later = evaluate(replace(job, bars=(0.0, 99.0)))
    assert later.stopped
    assert later.rungs == whole.rungs
    assert later.psnr == whole.rungs[1]


def test_a_training_that_diverges_is_a_result_too(job: Job) -> None:
    outcome = evaluate(replace(job, stage=replace(job.stage, learning_rate=1e30, optimizer="sgd")))
    assert math.isnan(outcome.psnr)
    assert "at step" in outcome.error
    assert not outcome.weights


def test_rank_correlation_is_spearmans() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx(0.8)
    assert math.isnan(rank_correlation([1, 2], [1, 2]))
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))
