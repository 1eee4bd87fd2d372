"""Recipes: how a network is trained, stage by stage, as TOML.

[network]            name in `upres.networks.NETWORKS`; all other keys are its arguments
[data]               see `Data`
[[stage]]            see `Stage`; stages follow each other
[stage.losses]       name in `upres.training.losses.LOSSES` = weight
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from upres.errors import RecipeError
from upres.networks import NetworkSpec
from upres.training.losses import LOSSES

__all__ = ["Data", "Recipe", "Stage", "load_recipe"]


AT_LEAST_1 = {"steps", "batch", "patch"}


@dataclass(frozen=True)
class Data:
    """Where the pictures come from. LR is made by MATLAB's bicubic."""

    train: str = ""
    """Folder of HR photographs, of any size."""
    validation: str = ""
    """Folder of HR photographs on which PSNR is measured during training."""


@dataclass(frozen=True)
class Stage:
    """One training phase."""

    steps: int
    """Optimiser steps."""
    losses: dict[str, float] = field(default_factory=lambda: {"l1": 1.0})
    """Names of losses and their weights."""
    batch: int = 32
    """Patches in a step."""
    patch: int = 48
    """Side of a patch in LR pixels."""
    optimizer: Literal["adam", "adamw", "soap"] = "adam"
    learning_rate: float = 2e-3
    """The highest one: reached after the warm-up, then falling to 0 along a cosine."""
    warmup: int = 500
    """Steps over which the learning rate rises from 0."""
    weight_decay: float = 0.0
    ema: float = 0.999
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
        RecipeError: naming the key and what it may be.
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
    for override in overrides or []:
        _override(table, override)
    return _recipe(table)


def _override(table: dict[str, Any], override: str) -> None:
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
        at[last] = parsed
    except (IndexError, ValueError, TypeError, AttributeError):
        raise RecipeError(f"--set {override}: the recipe has no {'.'.join(way)}") from None


def _recipe(table: dict[str, Any]) -> Recipe:
    unknown = set(table) - {"network", "data", "stage", "seed"}
    if unknown:
        raise RecipeError(f"unknown key {sorted(unknown)[0]}: a recipe has network, data, stage and seed")
    network = dict(table.get("network", {}))
    if "name" not in network:
        raise RecipeError("network.name is missing")
    spec = NetworkSpec(network.pop("name"), network)
    try:
        spec.build()
    except (ValueError, KeyError) as error:
        raise RecipeError(f"network: {error}") from None
    stages = table.get("stage", [])
    if not isinstance(stages, list) or not stages:
        raise RecipeError("a recipe needs at least one [[stage]]")
    for number, stage in enumerate(stages):
        for loss, weight in dict(stage.get("losses", {})).items():
            where = f"stage.{number}.losses.{loss}"
            if loss not in LOSSES:
                raise RecipeError(f"{where}: no such loss; known: {', '.join(LOSSES)}")
            if not isinstance(weight, int | float):
                raise RecipeError(f"{where} = {weight!r}: must be a number")
    if type(seed := table.get("seed", 0)) is not int:
        raise RecipeError(f"seed = {seed!r}: must be int")
    return Recipe(
        spec,
        _fill(Data, table.get("data", {}), "data"),
        tuple(_fill(Stage, stage, f"stage.{number}") for number, stage in enumerate(stages)),
        seed,
    )


def _fill(kind: type[Any], table: dict[str, Any], where: str) -> Any:
    """An instance of a dataclass from a table, its types checked."""
    hints = get_type_hints(kind)
    for key, value in table.items():
        if key not in hints:
            raise RecipeError(f"{where}.{key}: unknown key; known: {', '.join(hints)}")
        hint = hints[key]
        if get_origin(hint) is Literal:
            if value not in get_args(hint):
                raise RecipeError(f"{where}.{key} = {value!r}: must be one of {', '.join(get_args(hint))}")
            continue
        plain = get_origin(hint) or hint
        accepted = (int, float) if plain is float else plain
        if not isinstance(value, accepted) or isinstance(value, bool):
            raise RecipeError(f"{where}.{key} = {value!r}: must be {plain.__name__}")
        if isinstance(value, int | float) and value < 0:
            raise RecipeError(f"{where}.{key} = {value!r}: must not be negative")
        if value == 0 and key in AT_LEAST_1:
            raise RecipeError(f"{where}.{key} = {value!r}: must be at least 1")
    missing = [
        item.name
        for item in dataclasses.fields(kind)
        if item.default is dataclasses.MISSING
        and item.default_factory is dataclasses.MISSING
        and item.name not in table
    ]
    if missing:
        raise RecipeError(f"{where}.{missing[0]} is missing")
    return kind(**table)
