"""Recipes: how a network is trained, stage by stage, as TOML.

[network]            name in `upres.networks.NETWORKS`; all other keys are its arguments
[data]               see `Data`
[[data.degradation]] name in `upres.training.degradation.STEPS`, its arguments and a chance; steps follow each other
[[stage]]            see `Stage`; stages follow each other
[stage.schedule]     name in `upres.training.schedules.SCHEDULES` and its arguments; or schedule = "name"
[stage.losses]       name in `upres.training.losses.LOSSES` = weight, or = { weight = ..., its arguments }
stage.before, .after names in `upres.training.actions.ACTIONS`, or tables of a name and its arguments
[smoke]              keys and values of the recipe above, as with ``--set``: what makes it a run of two minutes
"""

from __future__ import annotations

import json
import math
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from upres.errors import RecipeError
from upres.networks import NETWORKS, NetworkSpec
from upres.training.actions import ACTIONS
from upres.training.checked import Count, Factor, Source, Table, accepted, arguments, named
from upres.training.degradation import checked_steps
from upres.training.losses import LOSSES, make_loss
from upres.training.schedules import SCHEDULES

__all__ = [
    "Data",
    "Difficulty",
    "Recipe",
    "Stage",
    "checked_data",
    "checked_stage",
    "folders",
    "load_recipe",
    "parsed",
    "read_text",
]

PLURALS = {"recipe": "recipes", "search": "searches"}
"""The folders of files that ship."""


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
    """Mirror every second patch."""
    rotations: bool = True
    """Turn every patch by a random quarter."""
    permute_rgb: bool = False
    """Shuffle every patch's colour channels."""
    memory: float = 4.0
    """GiB of decoded photographs that are held at once in each process; for validation, a quarter as much again."""


@dataclass(frozen=True, kw_only=True)
class Difficulty:
    """Which patches a stage sees, of all that are ranked by how well they can be upscaled already (ClassSR)."""

    by: str
    """``bicubic``, or the checkpoint of a network, whose PSNR ranks them."""
    part: Annotated[int, (0, math.inf)]
    """Which part, 0 for the easiest."""
    parts: Count = 3
    """Of equally many patches."""


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
    scales: list[Count] = field(default_factory=list)
    """Of which every step draws one, where one set of weights serves several; the network's own if empty."""
    train: str = ""
    """Folder of HR photographs for this stage instead of the recipe's."""
    teacher: str = ""
    """Whose SR, as a self-ensemble, is learnt instead of HR: a network's checkpoint, or ``self`` for the network as the
    stage begins. It is drawn before the first step and kept in the run's folder."""
    optimizer: Literal["adam", "adamw", "sgd", "soap"] = "adam"
    momentum: Factor = 0.9
    """Of SGD; of the others, the decay of the mean of the gradients, β₁."""
    beta2: Factor = 0.0
    """The decay of the mean of their squares, β₂; 0 for 0.999, SOAP's 0.95."""
    learning_rate: float = 2e-3
    """The highest one, reached after the warm-up."""
    rates: dict[str, float] = field(default_factory=dict)
    """What the learning rate is multiplied by for modules of the network, by name, and for all weights called so, as
    ``bias``."""
    warmup: int = 500
    """Steps over which the learning rate rises from 0."""
    schedule: str | Table = "cosine"
    """How the learning rate goes on after the warm-up."""
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    """The gradient is scaled down to this length where it is longer; 0 for never."""
    clip_value: float = 0.0
    """Every element of the gradient is clamped to this; 0 for never."""
    clip_step: float = 0.0
    """Likewise, to this divided by the learning rate, which bounds a step of SGD (VDSR); 0 for never."""
    ema: Factor = 0.999
    """Decay of the exponential moving average of the weights, which is what is kept; 0 for none."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """``auto`` is bf16 where the machine computes it natively, else 32-bit; 16-mixed needs a GPU."""
    before: list[str | Table] = field(default_factory=list)
    """What is done to the network before the first step."""
    after: list[str | Table] = field(default_factory=list)
    """What is done to the network after the last step."""
    module: str = ""
    """The part of the network that is trained alone, as a network of its own; empty for all of it."""
    frozen: list[str] = field(default_factory=list)
    """Modules of the network that stay as they are."""
    difficulty: Table | None = None
    """See `Difficulty`; without it, all patches are seen."""


@dataclass(frozen=True)
class Recipe:
    """A whole training, from the network to the last stage."""

    network: NetworkSpec
    data: Data
    stages: tuple[Stage, ...]
    seed: int = 0
    name: str = ""
    """Of the file, without ``.toml``."""

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)


def load_recipe(name: str, overrides: list[str] | None = None, *, smoke: bool = False) -> Recipe:
    """Read a recipe by its file's path or, for those that ship, by its name.

    Args:
        name: ``path/to/recipe.toml`` or, for example, ``fast_x3``.
        overrides: ``key=value`` with a TOML value, for example ``stage.0.steps=100`` or
            ``data.train="photos"``; a bare word counts as a string.
        smoke: make it the short run that its ``[smoke]`` says, before the overrides.

    Raises:
        RecipeError: naming the key, its line and what it may be.
    """
    text = read_text(name, "recipe")
    table, source = parsed(name, text, overrides, smoke=smoke)
    recipe = _recipe(table, source)
    if not smoke and any(key.startswith("smoke.") for key in source.places):
        _recipe(*parsed(name, text, smoke=True))  # so that its mistakes are not left for later
    return replace(recipe, name=Path(name).stem)


def folders(train: str | None, validation: str | None) -> list[str]:
    """Overrides, as `load_recipe` takes them, that name folders of photographs."""
    given = {"train": train, "validation": validation}
    return [f"data.{key}={json.dumps(folder, ensure_ascii=False)}" for key, folder in given.items() if folder]


def read_text(name: str, kind: Literal["recipe", "search"]) -> str:
    """The text of a TOML file by its path, or of one that ships by its name.

    Args:
        name: see `load_recipe`.
        kind: what the file is; which folder those are in that ship.

    Raises:
        RecipeError: if the file cannot be read, or none that ships has the name.
    """
    if Path(name).suffix == ".toml":
        try:
            return Path(name).read_text("utf-8-sig")
        except OSError as error:
            raise RecipeError(f"{name}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError as error:
            raise RecipeError(f"{name}: is not in UTF-8 ({error}); save it so") from None
    shipped = resources.files(f"upres.{PLURALS[kind]}")
    known = sorted(item.name[:-5] for item in shipped.iterdir() if item.name.endswith(".toml"))
    if name not in known:
        raise RecipeError(f"no {kind} is called {name!r}: give a .toml file or one of {', '.join(known)}")
    return (shipped / f"{name}.toml").read_text("utf-8")


def parsed(
    name: str, text: str, overrides: list[str] | None = None, *, kind: str = "recipe", smoke: bool = False
) -> tuple[Table, Source]:
    """The tables of a file, changed, and where their keys stand.

    Args:
        name: of the file.
        text: of the file.
        overrides: see `load_recipe`.
        kind: what the file is, for errors.
        smoke: see `load_recipe`.

    Raises:
        RecipeError: if the text is no TOML, or has no key of an override.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name}: not valid TOML: {error}") from None
    source = Source(name, text)
    short = accepted(table.pop("smoke", {}), Table, "smoke", source)
    if smoke and not short:
        raise RecipeError(f"{name}: has no [smoke] that says how it becomes short")
    for key, value in _leaves(short) if smoke else ():
        _put(table, key, value, source.places[f"smoke.{key}"], kind, source)
    for override in overrides or []:
        key, equals, changed = override.partition("=")
        if not equals:
            raise RecipeError(f"--set {override}: write key=value, for example stage.0.steps=1000")
        _put(table, key, _value(changed), f"--set {override}", kind, source)
    return table, source


def _leaves(table: Table, way: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and what they are set to: single values, and what a key in quotes ("stage.0.losses") has, whole."""
    for key, value in table.items():
        if isinstance(value, dict) and "." not in key:
            yield from _leaves(value, f"{way}{key}.")
        else:
            yield f"{way}{key}", value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(table: Table, key: str, value: Any, place: str, kind: str, source: Source) -> None:
    """Set a dotted key, which stands at a place."""
    *way, last = key.split(".")
    at: Any = table
    try:
        for part in way:
            at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
        at[int(last) if isinstance(at, list) else last] = value
    except (IndexError, ValueError, TypeError, AttributeError):
        raise RecipeError(f"{place}: the {kind} has no {'.'.join(way)}") from None
    source.override(key, place)


def _recipe(table: Table, source: Source) -> Recipe:
    for key in table:
        if key not in ("network", "data", "stage", "seed"):
            raise source.error(key, f": unknown key {key}; a recipe has network, data, stage, seed and smoke")
    tables = {key: accepted(table.get(key, {}), Table, key, source) for key in ("network", "data")}
    spec = _network(tables["network"], source)
    data = checked_data(tables["data"], source)
    given = table.get("stage", [])
    if not isinstance(given, list) or not given:
        raise source.error("stage", ": a recipe needs at least one [[stage]]")
    stages = [checked_stage(stage, f"stage.{number}", source) for number, stage in enumerate(given)]
    for number, stage in enumerate(stages):
        if stage.teacher and (data.degradation or stage.scales):
            raise source.error(f"stage.{number}.teacher", ": works without data.degradation and scales only")
        for name in stage.losses if stage.scales else ():
            if getattr(LOSSES[name], "one_scale", False):
                raise source.error(f"stage.{number}.losses.{name}", ": works without scales only")
    _check_quantised(stages, source)
    return Recipe(spec, data, tuple(stages), accepted(table.get("seed", 0), int, "seed", source))


def _network(table: Table, source: Source) -> NetworkSpec:
    options = dict(table)
    if "name" not in options:
        raise source.error("network.name", " is missing")
    name = options.pop("name")
    if name not in NETWORKS:
        raise source.error("network.name", f" = {name!r}: must be one of {', '.join(sorted(NETWORKS))}")
    spec = NetworkSpec(name, arguments(NETWORKS[name], options, "network", source, every=True))
    if options.get("scale", 1) < 1:
        raise source.error("network.scale", f" = {options['scale']}: must be at least 1")
    try:
        with warnings.catch_warnings(action="ignore"):  # of layers without channels
            network = spec.build()
        if not all(parameter.numel() for parameter in network.parameters()):
            raise ValueError("a layer has no channels")
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, ValueError) as error:
        raise source.error("network", f": no such network can be made: {error}") from None
    return spec


def _check_quantised(stages: list[Stage], source: Source) -> None:
    """Refuse to change the structure of a network that trains as integers compute."""
    quantised = False
    for number, stage in enumerate(stages):
        for when in ("before", "after"):
            for place, action in enumerate(getattr(stage, when)):
                if quantised and action["name"] != "interpolate":
                    key = f"stage.{number}.{when}.{place}"
                    raise source.error(key, f": {action['name']} cannot follow quantise; do it before")
                quantised = quantised or action["name"] == "quantise"


def checked_data(table: Table, source: Source) -> Data:
    """The table ``data``.

    Raises:
        RecipeError: naming the key, its line and what it may be.
    """
    data = Data(**arguments(Data, table, "data", source))
    if data.lr and data.degradation:
        raise source.error("data.lr", ": LR is either given or made; leave out lr or degradation")
    return replace(data, degradation=checked_steps(data.degradation, "data.degradation", source))


def checked_stage(table: Any, key: str, source: Source) -> Stage:
    """A table of a stage, which stands at a key.

    Raises:
        RecipeError: naming the key, its line and what it may be.
    """
    stage = Stage(**arguments(Stage, accepted(table, Table, key, source), key, source))
    if stage.batch % stage.accumulate:
        raise source.error(f"{key}.accumulate", f" = {stage.accumulate}: must divide the batch of {stage.batch}")
    for name in ("momentum", "beta2"):
        if getattr(stage, name) == 1:
            raise source.error(f"{key}.{name}", " = 1: must be below 1")
    schedule = named(SCHEDULES, stage.schedule, f"{key}.schedule", source)
    if schedule["name"] == "one_cycle" and stage.warmup:
        raise source.error(f"{key}.warmup", f" = {stage.warmup}: one_cycle has its own rise; set warmup = 0")
    if not stage.losses:
        raise source.error(f"{key}.losses", f" is empty; known: {', '.join(LOSSES)}")
    losses = {name: _loss(name, value, f"{key}.losses.{name}", source) for name, value in stage.losses.items()}
    before, after = (
        [named(ACTIONS, action, f"{key}.{when}.{place}", source) for place, action in enumerate(listed)]
        for when, listed in (("before", stage.before), ("after", stage.after))
    )
    if stage.difficulty:
        parts = Difficulty(**arguments(Difficulty, stage.difficulty, f"{key}.difficulty", source))
        if parts.part >= parts.parts:
            raise source.error(f"{key}.difficulty.part", f" = {parts.part}: must be below parts, {parts.parts}")
    return replace(stage, schedule=schedule, losses=losses, before=[*before], after=[*after])


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
