"""Weights in, model out: the network as ONNX with its card."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn
from torch.nn import functional

from upres.compression.quantise import Aligned, Quantised, quantise, unquantised
from upres.compression.reparameterise import merge
from upres.compression.structure import load
from upres.errors import ImageError, ModelError
from upres.images import SUFFIXES, make_lr, read
from upres.networks import Network, NetworkSpec
from upres.networks.checkpoint import facts_of, fitted
from upres.networks.classsr import SUB_IMAGE, ClassSR
from upres.networks.count import count
from upres.runtime.bundle import ROUTER, bundle
from upres.runtime.card import CONTEXT, Card, Routing
from upres.runtime.model import CARD_KEY, bundled, load_model

__all__ = ["check_target", "export", "load_weights", "middles", "state_quality", "to_onnx", "write_model"]

WRAPPER = "network."
"""Before the names of the weights in a model, after the attribute of `Aligned`."""

CALIBRATION_PATCHES = 32
CALIBRATION_SIDE = 96  # LR pixels
OPSET = 18
NEXT_TO_NOTHING = 1e-4
"""Of the gain that a class is above the one before; what decides between branches that are equally good."""


def export(
    weights: Path,
    path: Path,
    *,
    scale: int | None = None,
    int8: Path | None = None,
    data: str = "",
    recipe: str = "",
    licence: str = "",
    quality: dict[str, float] | None = None,
) -> Card:
    """Write a network, merged by `upres.compression.reparameterise`, as a model file named as the file is.

    Of a quantised network, the file's weights are int8, and ``QuantizeLinear`` and ``DequantizeLinear`` say which
    features are rounded, so that engines compute with integers. What such a network adds to the upscaled picture it
    makes of the picture's 8 highest bits. ClassSR becomes a model of several branches, routed by its class module.

    Args:
        weights: what `load_weights` reads: a checkpoint, a file that a network's authors released, an ``.onnx`` of
            `export`, or the name of a bundled model.
        path: the ``.onnx`` to write, atomically.
        scale: see `upres.networks.load`.
        int8: a folder of photographs by which to quantise a network that was not trained for it: see
            `upres.compression.quantise`. It costs some of the quality; training for it costs less.
        data: what it was trained on, for the card; empty for what a model says itself.
        recipe: what it was trained with, for the card; empty for what the checkpoint says.
        licence: of the weights, likewise.
        quality: data set to PSNR in dB, for the card.

    Raises:
        ValueError: if the weights cannot be read, are of no network known, or are not of the scale; if the network
            cannot be quantised; or if ``path`` is none to write a model to.
        ImageError: if the photographs cannot be read, or there are none.
    """
    file = bundled().get(str(weights), weights)
    check_target(path, Path(file))
    spec, network = load_weights(str(file), scale)
    facts = _facts(file)
    card = replace(
        _card(path.stem, network),
        network=spec.name,
        arguments=spec.arguments,
        data=data or facts.get("data", ""),
        recipe=recipe or facts.get("recipe", ""),
        trained=facts.get("trained", ""),
        licence=licence or facts.get("licence", ""),
        quality=quality or {},
    )
    if isinstance(network, ClassSR):
        routing, parts = _branches(network, path.stem, int8)
        write_model(onnx.load_from_string(bundle(parts)), replace(card, routing=routing), path)
        return replace(card, routing=routing)
    network = _ready(network, int8)
    if isinstance(network, Quantised):
        card = replace(card, precision="int8")
    write_model(onnx.load_from_string(to_onnx(network)), card, path)
    return card


def state_quality(path: Path, quality: dict[str, float]) -> None:
    """Write into a model file's card what PSNR in dB was measured, by data set."""
    model = load_model(path)
    write_model(onnx.load_from_string(model.onnx), replace(model.card, quality=quality), path)


def _ready(network: Network, int8: Path | None) -> Network:
    """Merged, and quantised if that is asked for."""
    return quantise(network, _patches(int8, network)) if int8 else merge(network)


def _card(name: str, network: Network) -> Card:
    """What the network itself tells."""
    counts = count(unquantised(merge(network)), 256, 256)
    return Card(
        name=name,
        scale=network.scale,
        halo=network.halo,
        alignment=network.alignment,
        minimum=network.minimum,
        precision="int8" if isinstance(network, Quantised) else "f32",
        parameters=counts.parameters,
        multiply_adds=round(counts.multiply_adds / 256**2),
    )


def _branches(network: ClassSR, name: str, int8: Path | None) -> tuple[Routing, dict[str, bytes]]:
    """ClassSR as a bundle: its class module as the router, which tells the class of cells, and its branches."""
    branches = [_ready(cast("Network", branch), int8) for branch in network.branches]
    parts = {f"{name}_{place}": to_onnx(branch) for place, branch in enumerate(branches)}
    cards = [_card(part, branch) for part, branch in zip(parts, branches, strict=True)]
    work = count(network.class_module, SUB_IMAGE, SUB_IMAGE).multiply_adds
    # The lines of neighbouring classes meet half-way between them, where neither gains over the other.
    gains = [(float(place), place / 2) for place in range(1, len(branches))]
    costs = [card.multiply_adds / cards[-1].multiply_adds for card in cards]
    routing = Routing(SUB_IMAGE, CONTEXT, NEXT_TO_NOTHING, gains, cards, round(work / SUB_IMAGE**2), costs)
    return routing, {
        ROUTER: _to_onnx(_Classes(network), 2 * SUB_IMAGE, "hardness"),
        **parts,
    }


class _Classes(nn.Module):
    """LR (1, 3, H, W) in [0, 1] to the class of each sub-image (1, 1, H/32, W/32): the most probable one's number.

    It leans, by less than a half, to where the others' mean is, so that an order of hardness is left among equals.
    """

    def __init__(self, network: ClassSR) -> None:
        super().__init__()
        self.convolutions, self.dense = network.class_module.convolutions, network.class_module.dense

    def forward(self, lr: Tensor) -> Tensor:
        features = functional.avg_pool2d(self.convolutions(lr), SUB_IMAGE // 4)
        logits = functional.conv2d(features, self.dense.weight[:, :, None, None], self.dense.bias)
        probabilities = torch.softmax(logits, dim=1)
        places = torch.arange(probabilities.shape[1], dtype=lr.dtype)[:, None, None]
        most = probabilities.argmax(1, keepdim=True).to(lr.dtype)
        mean = (probabilities * places).sum(1, keepdim=True)
        return most + (mean - most).clamp(-0.49, 0.49)


def write_model(model: onnx.ModelProto, card: Card, path: Path) -> None:
    """Write a network and its card, instead of one that it has, as a model file, atomically."""
    del model.metadata_props[:]
    model.metadata_props.add(key=CARD_KEY, value=card.to_json())
    onnx.checker.check_model(model)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(model.SerializeToString())
    part.replace(path)


def check_target(path: Path, *sources: Path) -> None:
    """Refuse a file that a model must not be written to.

    Raises:
        ValueError: if it is not called ``.onnx``, is one of the sources, or its folder is not there.
    """
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: call the model to write NAME.onnx")
    if path.resolve() in {source.resolve() for source in sources}:
        raise ValueError(f"{path}: is what the model is made of; name another file")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent}: there is no such folder to write {path.name} to")


def load_weights(path: str, scale: int | None = None) -> tuple[NetworkSpec, Network]:
    """Read a network from whatever holds one, in evaluation mode on the CPU.

    Args:
        path: the name of a bundled model, an ``.onnx`` that `export` wrote, or a file for `upres.networks.load`.
        scale: see `upres.networks.load`.

    Raises:
        ValueError: if the file cannot be read, or its weights are not there as the network has them.
        ModelError: if an ``.onnx`` cannot be read, has no card, or is of several networks.
    """
    file = bundled().get(path, Path(path))
    if file.suffix != ".onnx":
        return load(file, scale)
    model = load_model(file)
    if model.card.routing:
        names = ", ".join(card.name for card in model.card.routing.branches)
        raise ModelError(f"{path} is several networks, {names}: take one of them")
    weights = onnx.load_from_string(model.onnx).graph.initializer
    state = {
        tensor.name.removeprefix(WRAPPER): torch.tensor(numpy_helper.to_array(tensor))
        for tensor in weights
        if tensor.name.startswith(WRAPPER)
    }
    spec = NetworkSpec(model.card.network, model.card.arguments)
    network = spec.build()
    try:
        return spec, fitted(network, state)
    except ValueError as error:
        raise ValueError(f"{path}: its weights cannot be trained further: {error}") from None


def _facts(path: Path) -> dict[str, str]:
    """What a checkpoint or a model says of where it comes from."""
    if path.suffix != ".onnx":
        return facts_of(path)
    card = load_model(path).card
    return {"recipe": card.recipe, "trained": card.trained, "data": card.data, "licence": card.licence}


def _patches(folder: Path, network: Network) -> list[Tensor]:
    """The middles of photographs reduced by MATLAB's bicubic, (1, 3, h, w) in [0, 1]."""
    patches = [
        torch.tensor(lr).permute(2, 0, 1)[None] / 255
        for lr, _ in middles(folder, network.scale, CALIBRATION_SIDE, CALIBRATION_PATCHES)
        if min(lr.shape[:2]) >= network.minimum
    ]
    if not patches:
        raise ImageError(f"{folder}: holds no photographs that are large enough to quantise by")
    return patches


def middles(folder: Path, scale: int, side: int, most: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """LR and HR of the middles of a folder's photographs, (h, w, 3), reduced by MATLAB's bicubic.

    Args:
        folder: whose photographs are taken evenly, by their names' order.
        scale: the factor r between LR and SR.
        side: LR pixels of the middle's side; smaller photographs are taken whole.
        most: so many at most.

    Raises:
        ImageError: if there is no such folder, or a photograph cannot be read.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder}: there is no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    for path in paths[:: -(-len(paths) // most) or 1]:
        hr = read(path).rgb8()
        top, left = (max(0, length - side * scale) // 2 for length in hr.shape[:2])
        yield make_lr(hr[top : top + side * scale, left : left + side * scale], scale)


def to_onnx(network: Network) -> bytes:
    """The network proper as an ONNX file, for any aligned height and width."""
    file = _to_onnx(Aligned(network), max(16 * network.alignment, network.minimum), "sr")
    if not isinstance(network, Quantised):
        return file
    model = onnx.load_from_string(file)
    _fold(model.graph)
    return bytes(model.SerializeToString())


def _to_onnx(module: nn.Module, side: int, output: str) -> bytes:
    """A module as an ONNX file, for any height and width, traced with an input of a side."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter writes the plain operators that engines know best, without another dependency.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Of padding, which engines fold themselves.
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        # Of the levels of quantisers, which are constants.
        warnings.filterwarnings("ignore", "Converting a tensor to a Python")
        torch.onnx.export(
            module.eval(),
            (torch.zeros(1, 3, side, side),),
            buffer,  # type: ignore[arg-type]
            input_names=["lr"],
            output_names=[output],
            dynamic_axes={"lr": {2: "height", 3: "width"}, output: {2: "rows", 3: "columns"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return buffer.getvalue()


def _fold(graph: onnx.GraphProto) -> None:
    """Compute what only constants go into, so that weights lie in the file as the integers that they become."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.op_type == "Constant" or (node.op_type != "DequantizeLinear" and set(node.input) <= constants.keys()):
            inputs = {name: constants[name] for name in node.input}
            results = ReferenceEvaluator(node, opsets={"": OPSET}).run(None, inputs)
            constants.update(zip(node.output, results, strict=True))
        else:
            graph.node.append(node)
    used = {name for node in graph.node for name in node.input}
    del graph.initializer[:]
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items() if name in used)
