"""The training loop: one stage after the other, resumable at any moment."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import accumulate
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from upres.compression.quantise import unquantised
from upres.compression.structure import restructured, structure
from upres.errors import RecipeError, UpresError
from upres.networks import Network, load
from upres.networks.checkpoint import fingerprint, save_checkpoint
from upres.networks.count import count
from upres.training.actions import Run, act
from upres.training.data import Augmentation, Photographs, ahead, load_photographs
from upres.training.degradation import Pipeline
from upres.training.difficulty import ranked
from upres.training.log import Log
from upres.training.losses import Criterion
from upres.training.processes import Processes
from upres.training.recipe import Data, Recipe, Stage
from upres.training.stage import StageRun, at_scale, learning_rate, precision, trained_part
from upres.training.targets import complete, drawn
from upres.training.trials import Trials
from upres.training.validation import bicubic_psnr, mean_psnr, middle, upscaled

__all__ = ["load_train", "load_validation", "train"]

CHECKPOINT_SECONDS = 60.0
CALIBRATION = 8  # batches that a quantisation looks at
SHAVED = 3  # LR pixels of a side of which something is left when the border is shaved


def train(
    recipe: Recipe,
    out: Path,
    *,
    accelerator: str = "auto",
    validate_every: int = 2000,
    log_every: int = 100,
    quiet: bool = False,
) -> Path:
    """Run a recipe, or go on with it where an earlier run in ``out`` stopped.

    A run killed at any moment and started again ends with the weights of an uninterrupted
    one: every batch depends only on the seed and the step, and the state is written
    atomically. ``out`` receives ``state.pt``, ``metrics.jsonl``, TensorBoard files,
    ``checkpoint.safetensors`` (the averaged weights where the stage has an EMA), ``trials_*.json``
    where actions try networks and, at the end, ``card.json``. Processes that ``torchrun`` or
    SLURM started share every batch.

    Returns:
        The path of the checkpoint.

    Raises:
        RecipeError: if the folders hold no usable photographs, a loss or an action cannot be read or does not fit,
            ``out`` belongs to another recipe, or its state is damaged, or there is no such accelerator.
        UpresError: if the loss or the weights are not finite; the last good checkpoint stays.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(accelerator, True):
        raise RecipeError(f"accelerator {accelerator}: PyTorch finds none here; take auto or cpu")
    out.mkdir(parents=True, exist_ok=True)
    training = _Training(recipe, out, accelerator, validate_every, log_every, quiet)
    # Patches are made in threads already, and BLAS's own would wait for each other and for the network's.
    with training.progress, training.log, threadpool_limits(1, user_api="blas"):
        return training.run()


class _Training:
    """What all stages share."""

    def __init__(
        self, recipe: Recipe, out: Path, accelerator: str, validate_every: int, log_every: int, quiet: bool
    ) -> None:
        self.recipe, self.out, self.accelerator = recipe, out, accelerator
        self.validate_every, self.log_every = validate_every, log_every
        self.processes = Processes.started()
        torch.manual_seed(recipe.seed)
        self.network = recipe.network.build()
        self.network.initialise()
        self.state = _resume(out, recipe)
        self.criteria = [self._criterion(number) for number in range(len(recipe.stages))]
        self.teachers = [self._teacher(number) for number in range(len(recipe.stages))]
        self.photographs, self.validation = self._photographs()
        if self.state:
            self.network = restructured(self.network, self.state["network"], self.state["structure"])
        self.done = self.state["step"] if self.state else 0
        """Steps of all stages, by the runs before this one."""
        self.targets: str = self.state["targets"] if self.state else ""
        """The folder in ``out`` of what the teacher of the stage has drawn."""
        writes = self.processes.first
        self.log = Log(out, self.done, self.state["seconds"] if self.state else 0.0, writes=writes)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, disable=quiet or not writes)
        self.task = self.progress.add_task("training", total=recipe.steps, completed=self.done)

    def run(self) -> Path:
        """All stages that are not done; gives the checkpoint."""
        if not self.state and self.validation and self.processes.first:
            self._validate(self.network, 0, bicubic=bicubic_psnr(self.validation))
        starts = accumulate((stage.steps for stage in self.recipe.stages), initial=0)
        for number, first in zip(range(len(self.recipe.stages)), starts, strict=False):
            if not self.state or number >= self.state["stage"]:
                self._stage(number, first)
        if self.processes.first:
            self._save_checkpoint(self.network, self.recipe.steps)
            self._write_card()
        return self.out / "checkpoint.safetensors"

    def _stage(self, number: int, first: int) -> None:
        """One stage, whose first step is the given one of all."""
        stage = self.recipe.stages[number]
        seen = self._seen(number)

        def patches(step: int, share: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
            share = share or self.processes.share
            drawn = np.random.default_rng((self.recipe.seed, number, step, 1)).integers(len(seen))
            return seen[drawn].batch((self.recipe.seed, number), step, stage.batch, stage.patch, share=share)

        resumed = self.state is not None and self.state["stage"] == number
        if not resumed:
            self._act(number, "before", patches)
        seen = self._taught(number, seen, resumed)
        run = StageRun(stage, self.network, self.criteria[number], self.accelerator, self.processes)
        if self.state and resumed:
            run.load(self.state)
        elif stage.before:  # which may have taken long
            self._validate(self.network, first)
            self._save(run, number, first)
        for step, (lr, hr) in ahead(patches, range(max(0, self.done - first), stage.steps)):
            loss = run.step(step, lr, hr)
            total = first + step + 1
            last = step + 1 == stage.steps
            if total % self.log_every == 0 or last:
                value = self._finite(loss, number, total)
                self.log.write(total, loss=value, learning_rate=learning_rate(stage, step), parts=run.parts())
                self.progress.update(self.task, completed=total, description=self.log.line)
            if total % self.validate_every == 0 or last:
                self._validate(trained_part(stage, run.averaged), total)
            if last or self.log.seconds_since_saved() > CHECKPOINT_SECONDS:
                self._save(run, number, total)
        self.network = run.finish()
        self._act(number, "after", patches)
        if stage.after:
            self._validate(self.network, first + stage.steps)

    def _photographs(self) -> tuple[dict[tuple[str, int], Photographs], Photographs | None]:
        """Of every folder and scale that stages train on; and those to validate on, if there are any."""
        patches: dict[tuple[str, int], int] = {}  # the largest of each
        for number, stage in enumerate(self.recipe.stages):
            if not set(stage.scales) <= set(self.network.scales):
                able = ", ".join(map(str, self.network.scales))
                raise RecipeError(f"stage.{number}.scales = {stage.scales}: the network has weights for {able} only")
            for source in _sources(stage, self.network.scale):
                patches[source] = max(stage.patch, patches.get(source, 0))
        data = replace(self.recipe.data, memory=self.recipe.data.memory / len(patches))
        trained = {
            (folder, scale): load_train(replace(data, train=folder or data.train), scale, patch)
            for (folder, scale), patch in patches.items()
        }
        return trained, load_validation(self.recipe.data, self.network.scale)

    def _seen(self, number: int) -> list[Photographs]:
        """The photographs of each scale, or those patches of them that a stage is for."""
        stage = self.recipe.stages[number]
        photographs = [self.photographs[source] for source in _sources(stage, self.network.scale)]
        if not stage.difficulty:
            return photographs
        try:
            part, parts = stage.difficulty["part"], stage.difficulty.get("parts", 3)
            by = stage.difficulty["by"]
            return [ranked(some, by, stage.patch, part, parts, cache=self.out) for some in photographs]
        except RecipeError as error:
            raise RecipeError(f"stage.{number}.{error}") from None

    def _teacher(self, number: int) -> Network | None:
        """The network of a checkpoint that a stage learns from."""
        path = self.recipe.stages[number].teacher
        if path in ("", "self"):
            return None
        try:
            return load(Path(path), self.network.scale)[1]
        except ValueError as error:
            raise RecipeError(f"stage.{number}.teacher: {error}") from None

    def _taught(self, number: int, seen: list[Photographs], resumed: bool) -> list[Photographs]:
        """The photographs, with what the stage's teacher draws, if it has one, in place of HR."""
        if not self.recipe.stages[number].teacher:
            return seen
        teacher, (photographs,) = self.teachers[number] or self.network, seen
        if not resumed:
            self.targets = f"targets_{number}_{fingerprint(teacher)}"
        folder = self.out / self.targets
        if resumed and not (self.teachers[number] or complete(folder, photographs)):
            raise RecipeError(f"{folder}: pictures are missing that the network drew before this stage; train anew")

        def told(done: int, count: int) -> None:
            self.progress.update(self.task, description=f"teacher draws {done} of {count}")

        return [drawn(photographs, lambda lr: upscaled(teacher, lr), folder, told, self.processes.share)]

    def _act(self, number: int, when: str, patches: Any) -> None:
        """What the recipe does to the network before or after a stage."""
        torch.manual_seed(self.recipe.seed + number)

        def score(network: nn.Module) -> float:
            if self.validation is None:
                raise ValueError("needs photographs to validate on: set data.validation")
            return mean_psnr(network, self.validation)

        try:
            files = self.validation.files if self.validation else []
            run = json.dumps([_identity(self.recipe), files])
            trials = Trials(score, self.out / f"trials_{number}_{when}.json", run, writes=self.processes.first)
            # Whole batches: all processes have to do the same.
            knows = Run(trials, lambda: [patches(step, (0, 1))[0] for step in range(CALIBRATION)])
            self.network = act(getattr(self.recipe.stages[number], when), self.network, knows)
        except ValueError as error:
            raise RecipeError(f"stage.{number}.{when}: {error}") from None

    def _criterion(self, number: int) -> Criterion:
        stage = self.recipe.stages[number]
        world = self.processes.world
        if stage.batch % (stage.accumulate * world):
            parts = f"{world} processes and {stage.accumulate} parts"
            raise RecipeError(f"stage.{number}.batch = {stage.batch}: cannot be shared by {parts}")
        try:
            precision(stage, self.accelerator)
            part = trained_part(stage, self.network)
        except ValueError as error:
            raise RecipeError(f"stage.{number}.{error}") from None
        try:
            with at_scale(part, min(stage.scales or [part.scale])):  # of which patches are smallest
                return Criterion(stage.losses, part, stage.patch * part.scale)
        except ValueError as error:
            raise RecipeError(f"stage.{number}.losses.{error}") from None

    def _validate(self, network: nn.Module, step: int, **more: float) -> None:
        if self.validation and self.processes.first:
            picture = middle(network, self.validation)
            self.log.write(step, psnr=mean_psnr(network, self.validation), picture=picture, parts=more)

    def _finite(self, loss: Tensor, number: int, total: int) -> float:
        value = loss.item()
        if not math.isfinite(value):
            raise self._diverged(f"loss is {value}", number, total)
        return value

    def _diverged(self, what: str, number: int, total: int) -> UpresError:
        kept = f"; {self.out} keeps the last good state" if (self.out / "state.pt").exists() else ""
        return UpresError(f"the {what} at step {total}: lower stage.{number}.learning_rate{kept}")

    def _save(self, run: StageRun, number: int, total: int) -> None:
        """Write checkpoint and state, in this order: a run that has its last state has its checkpoint too."""
        if not run.finite:
            raise self._diverged("weights are no longer finite", number, total)
        self.log.saved()
        if not self.processes.first:
            return
        self._save_checkpoint(run.averaged, total)
        state = {
            "recipe": _identity(self.recipe),
            "stage": number,
            "step": total,
            "seconds": self.log.seconds,
            "targets": self.targets,
            "structure": structure(run.whole),
            **run.state(),
        }
        part = self.out / "state.part"
        with _written(part), part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.out / "state.pt")

    def _save_checkpoint(self, network: Network, step: int) -> None:
        facts = {"recipe": self.recipe.name, "trained": self.log.trained(step, self.recipe.steps)}
        path = self.out / "checkpoint.safetensors"
        with _written(path):
            save_checkpoint(path, self.recipe.network, network, facts={**structure(network), **facts})

    def _write_card(self) -> None:
        counts = count(unquantised(self.network))
        card = {
            "network": self.recipe.network.name,
            "arguments": self.recipe.network.arguments,
            "parameters": counts.parameters,
            "multiply_adds": counts.multiply_adds,
            "recipe": self.recipe.name,
            "trained": self.log.trained(self.recipe.steps, self.recipe.steps),
            **{name: value for name, value in self.log.latest.items() if name in ("psnr", "bicubic")},
        }
        (self.out / "card.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """What libraries raise where a disk is full, as a sentence."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        raise UpresError(
            f"{path}: cannot be written ({error}); make room on the disk and run the same command again"
        ) from error


def _sources(stage: Stage, scale: int) -> list[tuple[str, int]]:
    """The folder, empty for the recipe's, and the scale of all photographs that a stage trains on."""
    return [(stage.train, each) for each in stage.scales or [scale]]


def load_train(data: Data, scale: int, patch: int) -> Photographs:
    """The photographs to train on.

    Args:
        data: of a recipe.
        scale: the factor between LR and SR.
        patch: side of the largest LR patch that will be asked for.

    Raises:
        RecipeError: as `load_photographs`.
    """
    augmentation = Augmentation(data.flips, data.rotations, data.permute_rgb)
    return load_photographs(
        data.train,
        scale,
        patch,
        lr=data.lr,
        degradation=_degradation(data),
        augmentation=augmentation,
        memory=data.memory,
    )


def load_validation(data: Data, scale: int) -> Photographs | None:
    """The photographs to validate on, for which a quarter of the memory is taken; None if no folder of them is given.

    Raises:
        RecipeError: as `load_photographs`.
    """
    if not data.validation:
        return None
    return load_photographs(
        data.validation, scale, SHAVED, lr=data.validation_lr, degradation=_degradation(data), memory=data.memory / 4
    )


def _degradation(data: Data) -> Pipeline | None:
    return Pipeline(data.degradation) if data.degradation else None


def _identity(recipe: Recipe) -> str:
    """What must not change between the parts of one run."""
    elsewhere = {"train": "", "validation": "", "validation_lr": "", "lr": bool(recipe.data.lr)}
    stages = [asdict(stage) | {"train": bool(stage.train), "learning_rate": 0} for stage in recipe.stages]
    return json.dumps(
        {
            "network": asdict(recipe.network),
            "data": asdict(recipe.data) | elsewhere,  # but not the folders, which may have moved
            "stages": stages,  # but not their rates, which may have been too high
            "seed": recipe.seed,
        },
        sort_keys=True,
    )


def _resume(out: Path, recipe: Recipe) -> dict[str, Any] | None:
    path = out / "state.pt"
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
        recipe_of_state = state["recipe"]
    except (EOFError, LookupError, OSError, RuntimeError, TypeError, UnpicklingError) as error:
        raise RecipeError(f"{path}: is damaged ({error!r:.80}); delete it to begin anew") from None
    if recipe_of_state != _identity(recipe):
        raise RecipeError(f"{out} holds a run of another recipe: choose another --out or delete it")
    return state
