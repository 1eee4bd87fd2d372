"""The training loop: one stage after the other, resumable at any moment."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from upres.errors import RecipeError, UpresError
from upres.networks.checkpoint import save_checkpoint
from upres.training.data import Augmentation, Photographs, ahead, load_photographs
from upres.training.degradation import Pipeline
from upres.training.log import Log
from upres.training.losses import Batch, Criterion, Watch
from upres.training.recipe import Recipe, Stage
from upres.training.schedules import Moment, rate
from upres.training.soap import SOAP
from upres.training.validation import mean_psnr, middle

__all__ = ["learning_rate", "train"]

CHECKPOINT_SECONDS = 60.0

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "soap": SOAP,
}


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
    atomically. ``out`` receives ``state.pt``, ``metrics.jsonl``, TensorBoard files and
    ``checkpoint.safetensors`` (the averaged weights where the stage has an EMA).

    Returns:
        The path of the checkpoint.

    Raises:
        RecipeError: if the folders hold no usable photographs, a loss cannot be read or does not fit, or ``out``
            belongs to another recipe.
        UpresError: if the loss or the weights are not finite; the last good checkpoint stays.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    network = recipe.network.build()
    scale = int(getattr(network, "scale", 1))
    state = _resume(out, recipe)
    criteria = [_criterion(recipe, number, network, scale) for number in range(len(recipe.stages))]
    photographs, validation = _photographs(recipe, scale)

    done = state["step"] if state else 0
    log = Log(out, done)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Patches are made in threads already, and BLAS's own would wait for each other and for the network's.
    with Progress(*columns, disable=quiet) as progress, log, threadpool_limits(1, user_api="blas"):
        task = progress.add_task("training", total=recipe.steps, completed=done)
        first = 0
        for number, stage in enumerate(recipe.stages):
            if state and number < state["stage"]:
                first += stage.steps
                continue
            run = _StageRun(stage, network, criteria[number], accelerator)
            if state and number == state["stage"]:
                run.load(state)

            def patches(step: int, number: int = number, stage: Stage = stage) -> tuple[Tensor, Tensor]:
                return photographs.batch((recipe.seed, number), step, stage.batch, stage.patch)

            for step, (lr, hr) in ahead(patches, range(max(0, done - first), stage.steps)):
                loss = run.step(step, lr, hr)
                total = first + step + 1
                last = step + 1 == stage.steps
                if total % log_every == 0 or last:
                    value = _finite(loss, total, number, out)
                    log.write(total, loss=value, learning_rate=learning_rate(stage, step), parts=run.parts())
                    progress.update(task, completed=total, description=log.line)
                if validation and (total % validate_every == 0 or last):
                    shown = middle(run.averaged, validation)
                    log.write(total, psnr=mean_psnr(run.averaged, validation), picture=shown)
                if last or run.seconds_since_saved() > CHECKPOINT_SECONDS:
                    run.save(out, recipe, number, total)
            run.close()
            network.load_state_dict(run.averaged.state_dict())
            first += stage.steps
    return out / "checkpoint.safetensors"


def learning_rate(stage: Stage, step: int) -> float:
    """Linear warm-up from 0, then the stage's schedule."""
    return rate(stage.schedule, Moment(step, stage.steps, stage.warmup, stage.learning_rate))


class _StageRun:
    """Network, losses, optimisers and average of one stage, on its device and in its precision."""

    def __init__(self, stage: Stage, network: nn.Module, criterion: Criterion, accelerator: str) -> None:
        self.stage = stage
        self.fabric = Fabric(accelerator=accelerator, devices=1, precision=_precision(stage, accelerator))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = OPTIMIZERS[stage.optimizer](
            network.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay
        )
        self.raw = network
        self.network, self.optimizer = self.fabric.setup(network, optimizer)
        self.averaged = copy.deepcopy(network) if stage.ema else network
        self.watch = Watch(network, criterion.watched)
        self.criterion = criterion.to(self.fabric.device)
        self.optimizers = {"optimizer": self.optimizer}
        if adversary := criterion.adversary:
            self.raw_discriminator = adversary.discriminator
            adversary.discriminator, self.optimizers["discriminator_optimizer"] = self.fabric.setup(
                adversary.discriminator, torch.optim.Adam(adversary.discriminator.parameters())
            )
            adversary.discriminator.mark_forward_method("logits")  # type: ignore[operator]
        self.losses: dict[str, Tensor] = {}
        self.saved = time.monotonic()

    def step(self, step: int, lr: Tensor, hr: Tensor) -> Tensor:
        """One step of the optimiser, and of the discriminator's; gives the network's loss."""
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(self.stage, step)
            optimizer.zero_grad()
        lr, hr = self.fabric.to_device((lr, hr))
        count = self.stage.accumulate
        self.losses = {}
        batches = []
        for lr_part, hr_part in zip(lr.chunk(count), hr.chunk(count), strict=True):
            sr = self.network(lr_part)
            batch = Batch(lr_part, sr, hr_part, dict(self.watch.outputs))
            losses = {name: loss / count for name, loss in self.criterion(batch).items()}
            self.fabric.backward(torch.stack(list(losses.values())).sum())
            self._note(losses)
            batches.append(batch)
        total = torch.stack(list(self.losses.values())).sum()
        if self.stage.clip_value:
            self.fabric.clip_gradients(self.network, self.optimizer, clip_val=self.stage.clip_value)
        if self.stage.clip_norm:
            # What is not finite is found by the loss and the weights, with a text that says what to do.
            self.fabric.clip_gradients(
                self.network, self.optimizer, max_norm=self.stage.clip_norm, error_if_nonfinite=False
            )
        self.optimizer.step()
        if adversary := self.criterion.adversary:
            for batch in batches:
                loss = adversary.discriminate(batch) / count
                self.fabric.backward(loss)
                self._note({"discriminator": loss})
            self.optimizers["discriminator_optimizer"].step()
        if self.stage.ema:
            self._average(step)
        return total

    def _note(self, losses: dict[str, Tensor]) -> None:
        for name, loss in losses.items():
            self.losses[name] = self.losses.get(name, 0) + loss.detach()

    @torch.no_grad()
    def _average(self, step: int) -> None:
        # A short memory at first, so that the random start is forgotten.
        decay = min(self.stage.ema, (step + 1) / (step + 10))
        for mean, value in zip(self.averaged.parameters(), self.raw.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for kept, current in zip(self.averaged.buffers(), self.raw.buffers(), strict=True):
            kept.copy_(current)  # such as the statistics of batch norm, which are averages already

    def parts(self) -> dict[str, float]:
        """The losses of the latest step by name, where there are several."""
        return {f"loss.{name}": loss.item() for name, loss in self.losses.items()} if len(self.losses) > 1 else {}

    def close(self) -> None:
        self.watch.close()

    def seconds_since_saved(self) -> float:
        return time.monotonic() - self.saved

    def save(self, out: Path, recipe: Recipe, number: int, total: int) -> None:
        """Write checkpoint and state, in this order: a run that has its last state has its checkpoint too."""
        if not all(weight.isfinite().all() for weight in self.raw.parameters()):
            raise _diverged("weights are no longer finite", total, number, out)
        save_checkpoint(out / "checkpoint.safetensors", recipe.network, self.averaged)
        state = {
            "recipe": _identity(recipe),
            "stage": number,
            "step": total,
            "network": self.raw.state_dict(),
            "averaged": self.averaged.state_dict(),
            **{name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }
        if self.criterion.adversary:
            state["discriminator"] = self.raw_discriminator.state_dict()
        part = out / "state.part"
        torch.save(state, part)
        part.replace(out / "state.pt")
        self.saved = time.monotonic()

    def load(self, state: dict[str, Any]) -> None:
        self.raw.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[name])
        if self.criterion.adversary:
            self.raw_discriminator.load_state_dict(state["discriminator"])


def _criterion(recipe: Recipe, number: int, network: nn.Module, scale: int) -> Criterion:
    stage = recipe.stages[number]
    try:
        return Criterion(stage.losses, network, stage.patch * scale)
    except ValueError as error:
        raise RecipeError(f"stage.{number}.losses.{error}") from None


def _photographs(recipe: Recipe, scale: int) -> tuple[Photographs, Photographs | None]:
    """To train and to validate on."""
    data = recipe.data
    degradation = Pipeline(data.degradation) if data.degradation else None
    augmentation = Augmentation(data.flips, data.rotations, data.permute_rgb)
    patch = max(stage.patch for stage in recipe.stages)
    train = load_photographs(
        data.train,
        scale,
        patch,
        lr=data.lr,
        degradation=degradation,
        augmentation=augmentation,
        memory=data.memory,
    )
    if not data.validation:
        return train, None
    return train, load_photographs(
        data.validation, scale, lr=data.validation_lr, degradation=degradation, memory=data.memory / 4
    )


def _finite(loss: Tensor, total: int, number: int, out: Path) -> float:
    value = loss.item()
    if not math.isfinite(value):
        raise _diverged(f"loss is {value}", total, number, out)
    return value


def _diverged(what: str, total: int, number: int, out: Path) -> UpresError:
    kept = f"; {out} keeps the last good state" if (out / "state.pt").exists() else ""
    return UpresError(f"the {what} at step {total}: lower stage.{number}.learning_rate{kept}")


def _precision(stage: Stage, accelerator: str) -> Any:
    if stage.precision != "auto":
        return stage.precision
    if accelerator != "cpu" and torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported()
    else:
        native = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bf16-mixed" if native else "32-true"


def _identity(recipe: Recipe) -> str:
    """What must not change between the parts of one run."""
    data = {name: value for name, value in asdict(recipe.data).items() if not isinstance(value, str)}
    return json.dumps(
        {
            "network": asdict(recipe.network),
            "data": data,  # but not the folders, which may have moved
            "stages": [asdict(stage) for stage in recipe.stages],
            "seed": recipe.seed,
        },
        sort_keys=True,
    )


def _resume(out: Path, recipe: Recipe) -> dict[str, Any] | None:
    path = out / "state.pt"
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True)
    if state["recipe"] != _identity(recipe):
        raise RecipeError(f"{out} holds a run of another recipe: choose another --out or delete it")
    return state
