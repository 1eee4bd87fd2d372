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

import numpy as np
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from upres.errors import RecipeError, UpresError
from upres.metrics import psnr
from upres.networks.base import upscale_rgb8
from upres.networks.checkpoint import save_checkpoint
from upres.training.data import Photographs, load_photographs
from upres.training.losses import LOSSES
from upres.training.recipe import Recipe, Stage
from upres.training.soap import SOAP

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
        RecipeError: if the folders hold no usable photographs, or ``out`` belongs to another recipe.
        UpresError: if the loss or the weights are not finite; the last good checkpoint stays.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    network = recipe.network.build()
    scale = int(getattr(network, "scale", 1))
    state = _resume(out, recipe)
    photographs = load_photographs(recipe.data.train, scale, max(stage.patch for stage in recipe.stages))
    validation = load_photographs(recipe.data.validation, scale) if recipe.data.validation else None

    done = state["step"] if state else 0
    log = _Log(out, done)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=quiet) as progress, log:
        task = progress.add_task("training", total=recipe.steps, completed=done)
        first = 0
        for number, stage in enumerate(recipe.stages):
            if state and number < state["stage"]:
                first += stage.steps
                continue
            run = _StageRun(stage, network, accelerator)
            if state and number == state["stage"]:
                run.load(state)
            for step in range(max(0, done - first), stage.steps):
                loss = run.step(step, *photographs.batch((recipe.seed, number, step), stage.batch, stage.patch))
                total = first + step + 1
                last = step + 1 == stage.steps
                if total % log_every == 0 or last:
                    value = _finite(loss, total, number, out)
                    log.write(total, loss=value, learning_rate=learning_rate(stage, step))
                    progress.update(task, completed=total, description=log.line)
                if validation and (total % validate_every == 0 or last):
                    shown = _picture(run.averaged, validation)
                    log.write(total, psnr=_validate(run.averaged, validation), picture=shown)
                if last or run.seconds_since_saved() > CHECKPOINT_SECONDS:
                    run.save(out, recipe, number, total)
            network.load_state_dict(run.averaged.state_dict())
            first += stage.steps
    return out / "checkpoint.safetensors"


def learning_rate(stage: Stage, step: int) -> float:
    """Linear warm-up from 0, then half a cosine down to 0 at the stage's last step."""
    if step < stage.warmup:
        return stage.learning_rate * (step + 1) / stage.warmup
    way = (step - stage.warmup) / max(1, stage.steps - stage.warmup)
    return stage.learning_rate * 0.5 * (1 + math.cos(math.pi * way))


class _StageRun:
    """Network, optimiser and average of one stage, on its device and in its precision."""

    def __init__(self, stage: Stage, network: nn.Module, accelerator: str) -> None:
        self.stage = stage
        self.fabric = Fabric(accelerator=accelerator, devices=1, precision=_precision(stage, accelerator))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = OPTIMIZERS[stage.optimizer](
            network.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay
        )
        self.raw = network
        self.network, self.optimizer = self.fabric.setup(network, optimizer)
        self.averaged = copy.deepcopy(network) if stage.ema else network
        self.saved = time.monotonic()

    def step(self, step: int, lr: Tensor, hr: Tensor) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.stage, step)
        lr, hr = self.fabric.to_device((lr, hr))
        sr = self.network(lr)
        loss = torch.stack([weight * LOSSES[name](sr, hr) for name, weight in self.stage.losses.items()]).sum()
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.optimizer.step()
        if self.stage.ema:
            # A short memory at first, so that the random start is forgotten.
            decay = min(self.stage.ema, (step + 1) / (step + 10))
            with torch.no_grad():
                for mean, value in zip(self.averaged.parameters(), self.raw.parameters(), strict=True):
                    mean.lerp_(value, 1 - decay)
        return loss.detach()

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
            "optimizer": self.optimizer.state_dict(),
        }
        part = out / "state.part"
        torch.save(state, part)
        part.replace(out / "state.pt")
        self.saved = time.monotonic()

    def load(self, state: dict[str, Any]) -> None:
        self.raw.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])


class _Log:
    """metrics.jsonl and TensorBoard, cut back on resume to the step that the state holds."""

    def __init__(self, out: Path, step: int) -> None:
        path = out / "metrics.jsonl"
        kept = []
        if path.exists():
            kept = [line for line in path.read_text("utf-8").splitlines() if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept), "utf-8")
        self.file = path.open("a", encoding="utf-8")
        self.board = SummaryWriter(str(out), purge_step=step + 1)
        self.latest: dict[str, float] = {}

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.board.close()

    def write(self, step: int, picture: NDArray[np.uint8] | None = None, **values: float) -> None:
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        for name, value in values.items():
            self.board.add_scalar(name, value, step)
        if picture is not None:
            self.board.add_image("validation", picture, step, dataformats="HWC")
        self.latest |= values

    @property
    def line(self) -> str:
        parts = [f"loss {self.latest['loss']:.4f}"]
        if "psnr" in self.latest:
            parts.append(f"PSNR {self.latest['psnr']:.2f} dB")
        return "  ".join(parts)


def _validate(network: nn.Module, photographs: Photographs) -> float:
    """Mean over the photographs of PSNR on Y, the border of the scale's width left out."""
    scale = photographs.scale
    return float(np.mean([psnr(upscale_rgb8(network, lr), hr, shave=scale) for lr, hr in photographs.pairs()]))


def _picture(network: nn.Module, photographs: Photographs) -> NDArray[np.uint8]:
    """The middle of the first validation photograph, upscaled, for TensorBoard."""
    lr = photographs.lr[0]
    top, left = (max(0, side // 2 - 32) for side in lr.shape[:2])
    return upscale_rgb8(network, lr[top : top + 64, left : left + 64])


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
    return json.dumps(
        {"network": asdict(recipe.network), "stages": [asdict(s) for s in recipe.stages], "seed": recipe.seed},
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
