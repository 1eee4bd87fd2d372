"""Weights in, model out: the network as ONNX with its card."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

from upres.compression.reparameterise import merge
from upres.networks import Network, load
from upres.networks.count import count
from upres.runtime.card import Card
from upres.runtime.model import CARD_KEY

__all__ = ["export", "to_onnx"]


def export(
    weights: Path,
    path: Path,
    *,
    scale: int | None = None,
    data: str = "",
    recipe: str = "",
    licence: str = "",
    quality: dict[str, float] | None = None,
) -> Card:
    """Write a network, merged by `upres.compression.reparameterise`, as a model file named as the file is.

    Args:
        weights: a checkpoint of upres, or a file that a network's authors released: see `upres.networks.load`.
        path: the ``.onnx`` to write, atomically.
        scale: see `upres.networks.load`.
        data: what it was trained on, for the card.
        recipe: what it was trained with, for the card.
        licence: of the weights, for the card.
        quality: data set to PSNR in dB, for the card.

    Raises:
        ValueError: if the weights cannot be read, are of no network known, or are not of the scale.
    """
    spec, network = load(weights, scale)
    network = merge(network)
    counts = count(network, 256, 256)
    card = Card(
        name=path.stem,
        scale=network.scale,
        halo=network.halo,
        alignment=network.alignment,
        minimum=network.minimum,
        network=spec.name,
        arguments=spec.arguments,
        parameters=counts.parameters,
        multiply_adds=round(counts.multiply_adds / 256**2),
        data=data,
        recipe=recipe,
        licence=licence,
        quality=quality or {},
    )
    model = onnx.load_from_string(to_onnx(network))
    model.metadata_props.add(key=CARD_KEY, value=card.to_json())
    onnx.checker.check_model(model)
    part = path.with_suffix(".part")
    part.write_bytes(model.SerializeToString())
    part.replace(path)
    return card


class _Aligned(nn.Module):
    """Only the network proper: the runtime pads and crops."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.network.upscale(lr)


def to_onnx(network: Network) -> bytes:
    """The network proper as ONNX without a card: ``lr`` (1, 3, H, W), as `Network.upscale` takes it, to ``sr``."""
    buffer = io.BytesIO()
    side = max(16 * network.alignment, network.minimum)
    with warnings.catch_warnings():
        # The tracing exporter writes the plain operators that engines know best, without another dependency.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Of padding, which engines fold themselves.
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            _Aligned(network).eval(),
            (torch.zeros(1, 3, side, side),),
            buffer,  # type: ignore[arg-type]
            input_names=["lr"],
            output_names=["sr"],
            dynamic_axes={"lr": {2: "height", 3: "width"}, "sr": {2: "rows", 3: "columns"}},
            opset_version=18,
            dynamo=False,
        )
    return buffer.getvalue()
