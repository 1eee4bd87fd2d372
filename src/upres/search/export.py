"""From a search to a training: a checkpoint of what was found, and a recipe that trains it in full."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from safetensors.torch import load as loads

from upres.errors import SearchError
from upres.evaluation.results import write_text
from upres.networks import NetworkSpec
from upres.networks.checkpoint import fitted, save_checkpoint
from upres.search.plan import Plan
from upres.search.store import Store
from upres.training.recipe import Stage

__all__ = ["export", "recipe_of"]


def export(plan: Plan, store: Store, number: int, out: Path) -> tuple[Path, Path]:
    """Write ``NAME.safetensors``, with the weights of the incomplete training, and ``NAME.toml``, a recipe.

    Args:
        plan: of the search.
        store: likewise.
        number: of the candidate.
        out: the folder.

    Returns:
        The checkpoint and the recipe.

    Raises:
        SearchError: if there is no such candidate, or it has not been evaluated.
    """
    found = {candidate.number: candidate for candidate in store.candidates()}
    if number not in found:
        raise SearchError(f"there is no candidate {number}: `upres search report` lists them, 1 to {len(found)}")
    weights = store.weights(number)
    if not weights:
        raise SearchError(f"candidate {number} has no weights: it is {found[number].status}")
    name = f"{plan.name}_{number}"
    spec = plan.space.decode(found[number].genome)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, recipe = out / f"{name}.safetensors", out / f"{name}.toml"
    steps = f"{found[number].steps} steps of a search, with those of the networks that it inherited from"
    save_checkpoint(checkpoint, spec, fitted(spec.build(), loads(weights)), facts={"trained": steps})
    head = (
        f"Candidate {number} of the search {plan.name}. To begin with its weights instead of fresh ones:\n"
        f'upres train {recipe.name} --set \'stage.0.before=[{{name="load", checkpoint="{checkpoint.name}"}}]\' ...'
    )
    write_text(recipe, recipe_of(spec, plan.full, head))
    return checkpoint, recipe


def recipe_of(spec: NetworkSpec, stages: Sequence[Stage], head: str) -> str:
    """A recipe for `upres train`, as TOML, below lines of comment; what has its default is left out."""
    lines = [*(f"# {line}" for line in head.splitlines()), "[network]", f"name = {_toml(spec.name)}"]
    lines += [f"{key} = {_toml(value)}" for key, value in spec.arguments.items()]
    for stage in stages:
        lines += ["", "[[stage]]"]
        for item in fields(Stage):
            default = item.default_factory() if item.default_factory is not MISSING else item.default
            value = getattr(stage, item.name)
            if value not in (None, default):
                lines.append(f"{item.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{key} = {_toml(item)}' for key, item in value.items())} }}"
        case _:
            return repr(value)
