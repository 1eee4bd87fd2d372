"""Whether loading keeps up with training: milliseconds for a batch of patches, and for a step on it.

    python benchmarks/loading.py FOLDER [rounds]

fast_x3's batch, 32 patches of 48x48 LR pixels, from a folder of photographs. Batches are made in threads while the
network learns, so that loading shows where both together take more than the machine's cores: with the small network
of fast_x3 sooner than with any other. The last lines compare steps that load with steps on one batch again and again;
where a quarter of the folder fits in memory, photographs are decoded all the time.
"""

from __future__ import annotations

import sys
import tempfile
import time
import tomllib
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits
from timing import interleaved

from upres.training import trainer
from upres.training.checked import Source
from upres.training.data import Photographs, load_photographs
from upres.training.degradation import Pipeline, checked_steps
from upres.training.log import Log
from upres.training.recipe import Recipe, load_recipe

FILLING, STEPS = 50, 200  # until all that fits is decoded; that are timed, over which several photographs change

DEGRADATIONS = {
    "bicubic, made once": "",
    "Johnson": '{ name = "gaussian_blur", sigma = 1.0 }, { name = "resize" }',
    "Bicubic++ (JPEG 90)": '{ name = "resize" }, { name = "jpeg", quality = 90 }',
    "second order": """
        { name = "gaussian_blur", sigma = [0.2, 3.0], anisotropic = true },
        { name = "resize", kernel = ["area", "bilinear", "bicubic"], scale = [0.3, 1.5] },
        { name = "gaussian_noise", sigma = [1, 30], grey = 0.4 },
        { name = "jpeg", quality = [30, 95] },
        { name = "gaussian_blur", sigma = [0.2, 1.5], chance = 0.8 },
        { name = "resize", kernel = ["area", "bilinear", "bicubic"], scale = [0.3, 1.2] },
        { name = "poisson_noise", scale = [0.05, 2.5], grey = 0.4 },
        { name = "resize", kernel = ["area", "bilinear", "bicubic"] },
        { name = "jpeg", quality = [30, 95] }""",
}


def main(folder: str, rounds: int) -> None:
    recipe = load_recipe("fast_x3", [f"stage.0.steps={FILLING + STEPS}", f'data.train="{folder}"'])
    stage = recipe.stages[0]
    steps, works, numbers = {}, {}, count()
    photographs = load_photographs(folder, 3, stage.patch, memory=1e3)
    photographs.decoded.get(range(len(photographs.sides)))
    for name, text in DEGRADATIONS.items():
        toml = f"steps = [{text}]"
        steps[name] = checked_steps(tomllib.loads(toml)["steps"], "steps", Source(name, toml))
        degraded = replace(photographs, degradation=Pipeline(steps[name]) if text else None)
        works[name] = lambda made=degraded: made.batch((0,), next(numbers), stage.batch, stage.patch)
    with threadpool_limits(1, user_api="blas"):  # as in training
        loading = interleaved(works, rounds)
    for name, milliseconds in loading.items():
        print(f"{name:20} {milliseconds:6.0f} ms a batch, one thread")
    learning = {name: replace(recipe.data, degradation=steps[name]) for name in DEGRADATIONS}
    quarter = photographs.decoded.sizes.sum() * 3 * (3**2 + 1) / 4 / 2**30  # of HR and LR
    learning["a quarter held"] = replace(recipe.data, memory=quarter)
    for name, data in learning.items():
        milliseconds = _step(replace(recipe, data=data))
        print(f"{name:20} {milliseconds:6.0f} ms a step of {recipe.network.name}, with its loading")
    batch = works["bicubic, made once"]()
    Photographs.batch = lambda *_, **__: batch  # type: ignore[method-assign]
    print(f"{'nothing loaded':20} {_step(recipe):6.0f} ms a step of {recipe.network.name}")


def _step(recipe: Recipe) -> float:
    """Milliseconds of a training's, from the times that its log was written."""
    times: list[float] = []

    class Timed(Log):
        def write(self, step: int, *arguments: Any, **values: Any) -> None:
            times.append(time.perf_counter())
            super().write(step, *arguments, **values)

    trainer.Log = Timed  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as out:
        trainer.train(recipe, Path(out), quiet=True, log_every=1)
    return (times[FILLING + STEPS - 1] - times[FILLING - 1]) / STEPS * 1000


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
