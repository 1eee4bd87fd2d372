"""The evaluator by incomplete training (FALSR, arXiv:1901.07261): what a short training makes of networks.

What it finds depends on the job alone, so that it does not matter where and how often it runs.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache

import torch
from safetensors.torch import load as loads
from safetensors.torch import save as saves
from threadpoolctl import threadpool_limits

from upres.networks import Network, NetworkSpec
from upres.networks.checkpoint import fitted
from upres.search.inherit import inherit
from upres.training.checked import Count
from upres.training.data import Photographs, ahead
from upres.training.losses import Criterion
from upres.training.processes import Processes
from upres.training.recipe import Data, Stage
from upres.training.stage import StageRun
from upres.training.trainer import load_train, load_validation
from upres.training.validation import mean_psnr

__all__ = ["Job", "Options", "Outcome", "Start", "evaluate", "rank_correlation", "weights_of"]

RUNGS = (0.25, 0.5)  # parts of the training after which it is seen whether a candidate is hopeless


@dataclass(frozen=True, kw_only=True)
class Options:
    """How candidates are judged, beside the stage of training that each gets."""

    inherit: bool = True
    """Begin with the weights of the nearest candidate that was evaluated, or of a seed; otherwise with fresh ones."""
    margin: float = 0.0
    """dB by which a candidate that is stopped is worse, a quarter or a half into its training, than one that costs no
    more; 0 to stop none."""
    sample: int = 4
    """Candidates that are trained longer in the end, to see whether that changes their order."""
    longer: Count = 4
    """How many times as long."""
    threads: Count = 1
    """Of each worker."""


@dataclass(frozen=True)
class Start:
    """Weights to begin with."""

    spec: NetworkSpec
    weights: bytes
    """Of `weights_of`."""


@dataclass(frozen=True)
class Job:
    """One candidate to evaluate."""

    number: int
    spec: NetworkSpec
    data: Data
    stage: Stage
    seed: int
    threads: int = 1
    start: Start | None = None
    bars: tuple[float, ...] = (-math.inf,) * len(RUNGS)
    """PSNR in dB below which the candidate is stopped, at each rung."""


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate."""

    psnr: float = math.nan
    """dB on Y, mean over the validation photographs, when the training ended."""
    rungs: tuple[float, ...] = ()
    """Likewise, on the way."""
    stopped: bool = False
    """Whether that was before its end."""
    seconds: float = 0.0
    weights: bytes = field(default=b"", repr=False)
    error: str = ""
    """Why there is nothing else, if so."""


def evaluate(job: Job) -> Outcome:
    """Train and judge one candidate.

    Raises:
        UpresError: if the photographs cannot be used, which no other candidate would change.
    """
    begun = time.monotonic()
    torch.set_num_threads(job.threads)
    stage = job.stage
    torch.manual_seed(job.seed)
    network = job.spec.build()
    network.initialise()
    if job.start:
        inherit(network, fitted(job.start.spec.build(), loads(job.start.weights)))
    train, validation = _photographs(json.dumps(asdict(job.data)), network.scale, stage.patch)
    criterion = Criterion(stage.losses, network, stage.patch * network.scale)
    run = StageRun(stage, network, criterion, "cpu", Processes())
    rungs: list[float] = []
    marks = [max(1, int(part * stage.steps)) for part in RUNGS]

    def patches(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        return train.batch((job.seed,), step, stage.batch, stage.patch)

    step = 0
    try:
        with threadpool_limits(1, user_api="blas"):
            for step, (lr, hr) in ahead(patches, range(stage.steps), workers=1):
                loss = run.step(step, lr, hr)
                if step + 1 in marks and step + 1 < stage.steps:
                    rungs.append(mean_psnr(run.averaged, validation))
                    if rungs[-1] < job.bars[len(rungs) - 1]:
                        break
        if not (math.isfinite(loss.item()) and run.finite):
            raise ArithmeticError("its loss or weights are no longer finite; lower stage.learning_rate")
    except (RuntimeError, ArithmeticError) as error:  # of PyTorch: memory, or matrices that are not finite
        return Outcome(seconds=time.monotonic() - begun, error=f"at step {step + 1}: {error}")
    stopped = step + 1 < stage.steps
    psnr = rungs[-1] if stopped else mean_psnr(run.averaged, validation)
    weights = weights_of(run.finish())
    return Outcome(psnr, tuple(rungs), stopped, time.monotonic() - begun, weights)


def weights_of(network: Network) -> bytes:
    """A network's weights, as a ``.safetensors``."""
    return saves({name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()})


@lru_cache(maxsize=2)
def _photographs(data: str, scale: int, patch: int) -> tuple[Photographs, Photographs]:
    """To train and to validate on, of the `Data` in JSON; decoded once in a process."""
    folders = Data(**json.loads(data))
    train, validation = load_train(folders, scale, patch), load_validation(folders, scale)
    assert validation is not None  # a search's file names some
    return train, validation


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's, -1 to 1; NaN for fewer than three pairs or where all of one are equal."""
    from scipy import stats

    if len(first) < 3 or len({*first}) < 2 or len({*second}) < 2:
        return math.nan
    return float(stats.spearmanr(first, second).statistic)
