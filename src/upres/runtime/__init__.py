"""Model files, engines, tiles and the Upscaler. Nothing here imports torch."""

from upres.runtime.card import Card
from upres.runtime.model import Model, bundled, load_model
from upres.runtime.routing import EffortMap
from upres.runtime.upscaler import Upscaler, models

__all__ = ["Card", "EffortMap", "Model", "Upscaler", "bundled", "load_model", "models"]
