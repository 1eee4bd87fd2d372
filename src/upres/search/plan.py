"""Searches: which networks are looked at, how they are judged, and for how long, as TOML.

seed, evaluations    of all that is drawn; networks that are looked at
objectives           names in `COSTS`, and ``psnr``: what a network shall be good at
seeds                networks that the search begins with: names, bundled models, checkpoints
[space]              name in `SPACES` and its arguments
[constraints]        ``psnr`` = dB at least; names in `COSTS` = at most
[controller]         see `upres.search.controller.Options`
[proxy]              see `upres.search.proxy.Options`
[latency]            see `upres.search.latency.Options`; needed where ``latency`` is an objective or a constraint
[data]               as in a recipe
[stage]              as a recipe's: the short training that every candidate gets
[[full]]             as a recipe's stages: how a network that was found is trained in full
[smoke]              as in a recipe
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from upres.compression.export import load_weights
from upres.compression.quantise import unquantised
from upres.errors import UpresError
from upres.networks import NETWORKS, NetworkSpec
from upres.search import controller, latency, proxy
from upres.search.genome import Elastic, Genome, Space
from upres.search.plain import Plain
from upres.search.proxy import Start, weights_of
from upres.training.checked import Count, Source, Table, accepted, arguments, named
from upres.training.recipe import Data, Stage, checked_data, checked_stage, parsed, read_text

__all__ = ["COSTS", "COUNTED", "SPACES", "Plan", "Seed", "load_plan", "plan_of"]

SPACES: dict[str, type[Space]] = {"elastic": Elastic, "plain": Plain}
COUNTED = ("multiply_adds", "parameters", "activations")
"""Costs that are counted, of an LR picture of 256x256 pixels: see `upres.networks.count.Counts`."""
COSTS = (*COUNTED, "latency")
"""What a network shall have little of; latency is in milliseconds."""

TABLES = ("space", "constraints", "controller", "proxy", "latency", "data", "stage")
KEYS = ("seed", "evaluations", "objectives", "seeds", *TABLES, "full")


@dataclass(frozen=True)
class Seed:
    """A network that the search begins with."""

    name: str
    genome: Genome
    start: Start | None
    """Its weights, if it has some."""


@dataclass(frozen=True)
class Plan:
    """A whole search."""

    name: str
    """Of the file, without ``.toml``."""
    space: Space
    objectives: tuple[str, ...]
    constraints: dict[str, float]
    controller: controller.Options
    proxy: proxy.Options
    latency: latency.Options | None
    data: Data
    stage: Stage
    full: tuple[Stage, ...]
    seeds: tuple[Seed, ...] = ()
    evaluations: int = 64
    seed: int = 0
    source: dict[str, Any] = field(default_factory=dict)
    """What `plan_of` makes it of again."""

    @property
    def measures_latency(self) -> bool:
        """Whether it matters."""
        return "latency" in (*self.objectives, *self.constraints)

    @cached_property
    def counted_limits(self) -> dict[str, float]:
        """The constraints on what is counted, before any training."""
        return {name: limit for name, limit in self.constraints.items() if name in COUNTED}


def load_plan(name: str, overrides: list[str] | None = None, *, smoke: bool = False) -> Plan:
    """Read a search's file by its path or, for those that ship, by its name.

    Args:
        name: ``path/to/search.toml`` or, for example, ``fast_x3``.
        overrides: ``key=value``, as for `upres.training.recipe.load_recipe`.
        smoke: make it short, as its ``[smoke]`` says.

    Raises:
        RecipeError: naming the key, its line and what it may be.
    """
    source = {"name": name, "text": read_text(name, "search"), "overrides": overrides or [], "smoke": smoke}
    return plan_of(source)


def plan_of(source: Mapping[str, Any]) -> Plan:
    """A plan from what one was read from, `Plan.source`, whose file may be gone."""
    table, places = parsed(source["name"], source["text"], source["overrides"], kind="search", smoke=source["smoke"])
    return _plan(dict(source), table, places)


def _plan(origin: dict[str, Any], table: Table, source: Source) -> Plan:
    for key in table:
        if key not in KEYS:
            raise source.error(key, f": unknown key {key}; a search has {', '.join(KEYS)} and smoke")
    tables = {key: accepted(table.get(key, {}), Table, key, source) for key in TABLES}
    space = _space(tables["space"], source)
    objectives = accepted(
        table.get("objectives", ["psnr", "multiply_adds", "parameters"]), list[str], "objectives", source
    )
    constraints = accepted(tables["constraints"], dict[str, float], "constraints", source)
    for key, names in (("objectives", objectives), ("constraints", constraints)):
        for place, found in enumerate(names):
            if found not in ("psnr", *COSTS):
                where = f"{key}.{place if key == 'objectives' else found}"
                raise source.error(where, f": there is no {found!r}; known: psnr, {', '.join(COSTS)}")
    if len({*objectives}) < 2 or len({*objectives}) < len(objectives):
        raise source.error("objectives", f" = {objectives}: name two or more different ones")
    timed = "latency" in (*objectives, *constraints)
    if timed and "latency" not in table:
        raise source.error("latency", " is missing: a table with a reference, the model that others are timed beside")
    data = checked_data(tables["data"], source)
    if not data.validation:
        raise source.error("data.validation", " is missing: a folder of photographs to judge candidates by")
    for key in ("teacher", "scales", "before", "after", "difficulty"):
        if key in tables["stage"]:
            raise source.error(
                f"stage.{key}", ": is not for candidates, which are trained briefly; give it in [[full]]"
            )
    full = table.get("full", [])
    if not isinstance(full, list) or not full:
        raise source.error("full", ": a search needs at least one [[full]], how what it finds is trained in full")
    return Plan(
        Path(origin["name"]).stem,
        space,
        tuple(objectives),
        constraints,
        controller.Options(**arguments(controller.Options, tables["controller"], "controller", source)),
        proxy.Options(**arguments(proxy.Options, tables["proxy"], "proxy", source)),
        latency.Options(**arguments(latency.Options, tables["latency"], "latency", source)) if timed else None,
        data,
        checked_stage(tables["stage"], "stage", source),
        tuple(checked_stage(stage, f"full.{number}", source) for number, stage in enumerate(full)),
        _seeds(accepted(table.get("seeds", []), list[str], "seeds", source), space, source),
        accepted(table.get("evaluations", 64), Count, "evaluations", source),
        accepted(table.get("seed", 0), Annotated[int, (0, 2**31)], "seed", source),
        origin,
    )


def _space(table: Table, source: Source) -> Space:
    options = named(SPACES, table, "space", source)
    space = SPACES[options.pop("name")](**options)
    for gene in space.genes:
        if not gene.choices:
            raise source.error("space", f": there is nothing to choose for {gene.name}")
    try:
        for last in (False, True):  # the first and the last of all choices
            space.decode(tuple(last * (len(gene.choices) - 1) for gene in space.genes)).build()
    except ValueError as error:
        raise source.error("space", f": {error}") from None
    return space


def _seeds(names: list[str], space: Space, source: Source) -> tuple[Seed, ...]:
    seeds = []
    for place, name in enumerate(names):
        try:
            start = None
            spec = NetworkSpec(name)
            if name not in NETWORKS:
                spec, network = load_weights(name)
                start = Start(spec, weights_of(unquantised(network)))
            seeds.append(Seed(name, space.encode(spec), start))
        except (ValueError, UpresError) as error:
            raise source.error(f"seeds.{place}", f" = {name!r}: {error}") from None
    return tuple(seeds)
