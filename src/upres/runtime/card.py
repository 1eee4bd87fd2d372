"""The card: a model's facts, kept in the model file itself."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from upres.errors import ModelError

__all__ = ["CONTEXT", "Card", "Routing"]

CONTEXT = 4
"""LR pixels around windows that are enough: docs/routing.md has what fewer and more change."""


@dataclass(frozen=True)
class Routing:
    """How a model of several branches spends its work: see `upres.runtime.routing`."""

    cell: int
    """LR pixels along a side of the squares whose hardness is judged."""
    context: int
    """LR pixels around what a larger branch upscales that it sees too."""
    price: float
    """The gain that an LR pixel in the largest branch is to bring where no effort is asked for."""
    gains: list[tuple[float, float]]
    """Of every branch but the first: how its gain over the first, in squared error by LR pixel, grows with hardness,
    and from which one on."""
    branches: list[Card]
    """From the smallest to the largest."""
    multiply_adds: int
    """Of the router, per LR pixel."""
    costs: list[float]
    """What an LR pixel costs in each branch; in the largest, 1."""


@dataclass(frozen=True)
class Card:
    """What the upscaler and its users must know of a model."""

    name: str
    """For bundled models the family and the scale, for example ``fast_x3``."""
    scale: int
    """The factor r between LR and SR."""
    halo: int | None
    """LR pixels around an SR pixel's own LR pixel that influence it; None where all do."""
    alignment: int = 1
    """Both sides of a tile are multiples of this."""
    minimum: int = 1
    """Neither side of a tile is below this."""
    channels: int = 3
    """Always RGB today."""
    value_range: float = 1.0
    """Input and output go from 0 to this."""
    precision: str = "f32"
    """Of the weights."""
    network: str = ""
    """Name in ``upres.networks.NETWORKS``."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """The network's constructor arguments."""
    parameters: int = 0
    multiply_adds: int = 0
    """Per LR pixel, as `upres.networks.count` counts them; of several branches by default, router included, mean."""
    data: str = ""
    """What it was trained on."""
    recipe: str = ""
    """What it was trained with."""
    trained: str = ""
    """How long."""
    licence: str = ""
    quality: dict[str, float] = field(default_factory=dict)
    """Data set to PSNR in dB: on Y not rounded, the scale shaved, mean over images."""
    routing: Routing | None = None
    """Of a model of several branches."""

    def to_json(self) -> str:
        """The text kept in the model file's metadata."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read what `to_json` wrote; facts that this version does not know are left out.

        Raises:
            ModelError: if the text is no card.
        """
        try:
            return _card(json.loads(text))
        except (ValueError, TypeError, AttributeError) as error:
            raise ModelError(f"the model's card cannot be read: {error}") from None


def _card(facts: dict[str, Any]) -> Card:
    known = {item.name for item in dataclasses.fields(Card)}
    card = Card(**{key: value for key, value in facts.items() if key in known})
    numbers = {"scale": 1, "halo": 0, "alignment": 1, "minimum": 1, "channels": 1}
    for key, least in numbers.items():
        value = getattr(card, key)
        if not (isinstance(value, int) and value >= least) and not (key == "halo" and value is None):
            raise ValueError(f"{key} is {value!r}, not a whole number from {least} on")
    if not card.value_range > 0:
        raise ValueError(f"value_range is {card.value_range!r}, not above 0")
    if card.routing is None:
        return card
    routing = Routing(**facts["routing"])
    gains = [(slope, floor) for slope, floor in routing.gains]
    branches = [_card(branch) for branch in facts["routing"]["branches"]]
    return dataclasses.replace(card, routing=dataclasses.replace(routing, gains=gains, branches=branches))
