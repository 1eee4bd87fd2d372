"""Recipes: how a network is trained, stage by stage, as TOML.

[network]            name in `upres.networks.NETWORKS`; all other keys are its arguments
[data]               see `Data`
[[data.degradation]] name in `upres.training.degradation.STEPS`, its arguments and a chance; steps follow each other
[[stage]]            see `Stage`; stages follow each other
[stage.schedule]     name in `upres.training.schedules.SCHEDULES` and its arguments; or schedule = "name"
[stage.losses]       name in `upres.training.losses.LOSSES` = weight, or = { weight = ..., its arguments }
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from upres.errors import RecipeError
from upres.networks import NetworkSpec
from upres.training.checked import Count, Factor, Source, Table, accepted, arguments, named
from upres.training.degradation import checked_steps
from upres.training.losses import LOSSES, make_loss
from upres.training.schedules import SCHEDULES

__all__ = ["Data", "Recipe", "Stage", "load_recipe"]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where the pictures come from, and what is done to them. Without more, LR is made by MATLAB's bicubic."""

    train: str = ""
    """Folder of HR photographs, of any size."""
    validation: str = ""
    """Folder of HR photographs on which PSNR is measured during training."""
    lr: str = ""
    """Folder of the LR of ``train``: files of the same names, or those with x2, x3 or x4 after them."""
    validation_lr: str = ""
    """Likewise for ``validation``."""
    degradation: list[Table] = field(default_factory=list)
    """How LR is made from HR, anew for every patch; for validation once and for all."""
    flips: bool = True
    """Mirror every second batch."""
    rotations: bool = True
    """Turn every batch by a random quarter."""
    permute_rgb: bool = False
    """Shuffle every batch's colour channels."""
    memory: float = 4.0
    """GiB of decoded photographs that are held at once in each process; for validation, a quarter as much again."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training phase."""

    steps: Count
    """Optimiser steps."""
    losses: dict[str, Any] = field(default_factory=lambda: {"l1": 1.0})
    """Names of losses and their weights, or tables of a weight and options."""
    batch: Count = 32
    """Patches in a step."""
    accumulate: Count = 1
    """Parts in which a step's batch goes through the network, whose gradients add up to the whole's."""
    patch: Count = 48
    """Side of a patch in LR pixels."""
    optimizer: Literal["adam", "adamw", "soap"] = "adam"
    learning_rate: float = 2e-3
    """The highest one, reached after the warm-up."""
    warmup: int = 500
    """Steps over which the learning rate rises from 0."""
    schedule: str | Table = "cosine"
    """How the learning rate goes on after the warm-up."""
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    """The gradient is scaled down to this length where it is longer; 0 for never."""
    clip_value: float = 0.0
    """Every element of the gradient is clamped to this; 0 for never."""
    ema: Factor = 0.999
    """Decay of the exponential moving average of the weights, which is what is kept; 0 for none."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """``auto`` is bf16 where the machine computes it natively, else 32-bit."""


@dataclass(frozen=True)
class Recipe:
    """A whole training, from the network to the last stage."""

    network: NetworkSpec
    data: Data
    stages: tuple[Stage, ...]
    seed: int = 0

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)


def load_recipe(name: str, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe by its file's path or, for those that ship, by its name.

    Args:
        name: ``path/to/recipe.toml`` or, for example, ``fast_x3``.
        overrides: ``key=value`` with a TOML value, for example ``stage.0.steps=100`` or
            ``data.train="photos"``; a bare word counts as a string.

    Raises:
        RecipeError: naming the key, its line and what it may be.
    """
    path = Path(name)
    if path.suffix != ".toml":
        shipped = resources.files("upres.recipes")
        known = sorted(item.name[:-5] for item in shipped.iterdir() if item.name.endswith(".toml"))
        if name not in known:
            raise RecipeError(f"no recipe is called {name!r}: give a .toml file or one of {', '.join(known)}")
        text = (shipped / f"{name}.toml").read_text("utf-8")
    else:
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise RecipeError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name}: not valid TOML: {error}") from None
    source = Source(name, text)
    for override in overrides or []:
        _override(table, override, source)
    return _recipe(table, source)


def _override(table: Table, override: str, source: Source) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise RecipeError(f"--set {override}: write key=value, for example stage.0.steps=1000")
    *way, last = key.split(".")
    at: Any = table
    try:
        for part in way:
            at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
        parsed: Any
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        at[int(last) if isinstance(at, list) else last] = parsed
    except (IndexError, ValueError, TypeError, AttributeError):
        raise RecipeError(f"--set {override}: the recipe has no {'.'.join(way)}") from None
    source.override(key, f"--set {override}")


def _recipe(table: Table, source: Source) -> Recipe:
    for key in table:
        if key not in ("network", "data", "stage", "seed"):
            raise source.error(key, f": unknown key {key}; a recipe has network, data, stage and seed")
    tables = {key: accepted(table.get(key, {}), Table, key, source) for key in ("network", "data")}
    spec = _network(tables["network"], source)
    data = Data(**arguments(Data, tables["data"], "data", source))
    if data.lr and data.degradation:
        raise source.error("data.lr", ": LR is either given or made; leave out lr or degradation")
    degradation = checked_steps(data.degradation, "data.degradation", source)
    stages = table.get("stage", [])
    if not isinstance(stages, list) or not stages:
        raise source.error("stage", ": a recipe needs at least one [[stage]]")
    return Recipe(
        spec,
        replace(data, degradation=degradation),
        tuple(_stage(stage, f"stage.{number}", source) for number, stage in enumerate(stages)),
        accepted(table.get("seed", 0), int, "seed", source),
    )


def _network(table: Table, source: Source) -> NetworkSpec:
    options = dict(table)
    if "name" not in options:
        raise source.error("network.name", " is missing")
    spec = NetworkSpec(options.pop("name"), options)
    try:
        spec.build()
    except (ValueError, KeyError) as error:
        raise source.error("network", f": {error}") from None
    return spec


def _stage(table: Any, key: str, source: Source) -> Stage:
    stage = Stage(**arguments(Stage, accepted(table, Table, key, source), key, source))
    if stage.batch % stage.accumulate:
        raise source.error(f"{key}.accumulate", f" = {stage.accumulate}: must divide the batch of {stage.batch}")
    schedule = named(SCHEDULES, stage.schedule, f"{key}.schedule", source)
    if schedule["name"] == "one_cycle" and stage.warmup:
        raise source.error(f"{key}.warmup", f" = {stage.warmup}: one_cycle has its own rise; set warmup = 0")
    if not stage.losses:
        raise source.error(f"{key}.losses", f" is empty; known: {', '.join(LOSSES)}")
    losses = {name: _loss(name, value, f"{key}.losses.{name}", source) for name, value in stage.losses.items()}
    return replace(stage, schedule=schedule, losses=losses)


def _loss(name: str, value: Any, key: str, source: Source) -> float | Table:
    if name not in LOSSES:
        raise source.error(key, f": no such loss; known: {', '.join(LOSSES)}")
    if not isinstance(value, dict):
        weight: float = accepted(value, float, key, source)
        arguments(LOSSES[name], {}, key, source)
        return weight
    options = dict(value)
    weight = accepted(options.pop("weight", 1.0), float, f"{key}.weight", source)
    options = arguments(LOSSES[name], options, key, source)
    try:
        make_loss(name, options)
    except ValueError as error:
        raise source.error(key, f": {error}") from None
    return {"weight": weight, **options}
