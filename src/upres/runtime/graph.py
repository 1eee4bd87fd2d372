"""The graph that engines run: a model's network, from pixels as they lie in memory to pixels.

Engines get the network wrapped for pictures of bytes, 16-bit words or floats, H x W x 3. Rounding and clamping are part
of the graph (engines truncate or wrap around on their own). What moves bytes about is most of the time that is left
beside the convolutions, so where a network ends in a pixel shuffle, the graph for bytes ends before it, in an order of
channels in which the shuffle is a copy of whole runs of pixels: see `PictureGraph.picture`. A quantised network reads
the bytes themselves and adds bytes to what it draws.
"""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from upres.errors import ModelError
from upres.runtime.cache import kept
from upres.runtime.card import Card
from upres.runtime.samples import Samples, peak_of

__all__ = ["PictureGraph", "hardness_graph", "picture_graph"]

Step = tuple[str, list[str], dict[str, Any]]
"""An ONNX operator, its inputs after the first, its attributes."""

FROM_PICTURE: list[Step] = [("Transpose", [], {"perm": [0, 3, 1, 2]})]
TO_PICTURE: list[Step] = [("Transpose", [], {"perm": [0, 2, 3, 1]})]

MOVING = {"Reshape", "Slice", "Transpose"}
"""Operators that leave samples as they are."""

SHARED = 2**20  # bytes from which on a copy is shared among threads
COPIERS = ThreadPoolExecutor(2, thread_name_prefix="upres-copy")


@dataclass(frozen=True)
class PictureGraph:
    """An ONNX graph with input ``lr`` (1, H, W, 3) and output ``sr``, of one dtype.

    ``sr`` is (1, r·H, r·W, 3), or (1, n, block²·3): for each of the n blocks of block x block SR pixels, row by row,
    its pixels row by row.
    """

    onnx: bytes
    scale: int | None
    """None of a router, whose ``sr`` is the hardness of cells, (1, h, w, 1)."""
    quantised: bool = False
    """Whether convolutions compute in 8-bit integers."""

    def picture(self, sr: Samples, lr: tuple[int, ...], threads: int | None) -> Samples:
        """The (r·height, r·width, 3) SR picture, copied out of what an engine has given.

        Args:
            sr: the graph's output.
            lr: the shape of the LR picture, height and width first.
            threads: at most this many copy; None for all that help.

        Raises:
            ModelError: if the network does not upscale as its card says.
        """
        if self.scale is None:
            return np.array(sr[0])
        height, width = lr[:2]
        if sr.size != 3 * height * width * self.scale**2:
            raise ModelError(
                f"the model does not upscale by {self.scale}, as its card says; make it anew: upres export"
            )
        if sr.ndim == 4:
            return np.array(sr[0])
        side = math.isqrt(sr.shape[2] // 3)
        run = 3 * side
        rows = height * self.scale // side
        runs = sr.reshape(rows, -1, side * run).view(f"V{run}")  # (rows of blocks, blocks, rows in a block)
        picture = np.empty((rows * side, runs.shape[1] * side, 3), sr.dtype)
        target = picture.reshape(rows, side, -1).view(f"V{run}")

        def move(part: slice) -> None:
            target[part] = runs[part].transpose(0, 2, 1)

        if threads == 1 or picture.nbytes < SHARED or rows < 2:
            move(slice(None))
        else:
            list(COPIERS.map(move, (slice(rows // 2), slice(rows // 2, None))))
        return picture


def picture_graph(card: Card, file: bytes, dtype: np.dtype[Any]) -> PictureGraph:
    """Wrap a network for pictures of one dtype.

    Args:
        card: of the model.
        file: its ONNX: input ``lr`` (1, 3, H, W), output ``sr`` (1, 3, r·H, r·W), f32.
        dtype: uint8 or uint16, full range, rounded half to even and clamped; or float32
            in [0, 1], neither rounded nor clamped.
    """
    return PictureGraph(_picture(file, dtype.name, card.value_range), card.scale, card.precision == "int8")


def hardness_graph(file: bytes, dtype: np.dtype[Any]) -> PictureGraph:
    """Wrap a router for pictures of one dtype; ``sr`` is the hardness of cells, (1, h, w, 1) f32.

    Args:
        file: its ONNX: input ``lr`` (1, 3, H, W) in [0, 1], output ``hardness`` (1, 1, h, w), f32.
        dtype: as for `picture_graph`.
    """
    return PictureGraph(_hardness(file, dtype.name), None)


@kept
def _picture(file: bytes, name: str, value_range: float) -> bytes:
    """The ONNX of `picture_graph`, for the dtype of a name."""
    import onnx
    from onnx import TensorProto, helper

    dtype = np.dtype(name)
    graph = _Graph(onnx.load_from_string(file))
    element = helper.np_dtype_to_tensor_dtype(dtype)
    peak = peak_of(dtype)
    level = np.float32(value_range / peak)
    down, up = graph.constant("level", level), graph.constant("levels", np.float32(peak / value_range))
    network = graph.take()
    last = TO_PICTURE
    block = None
    quantised = any(node.op_type == "QuantizeLinear" for node in network)
    if quantised and dtype == np.uint8:
        zero = graph.constant("zero", np.uint8(0))
        graph.chain("lr", "upres.bytes", FROM_PICTURE)
        graph.chain("upres.bytes", "upres.lr", [("DequantizeLinear", [down, zero], {})])
        network = graph.picking_bytes(graph.reading_bytes(network, level), (down, zero))
        to_samples: list[Step] = [("QuantizeLinear", [down, zero], {})]
    else:
        graph.chain("lr", "upres.lr", [*FROM_PICTURE, ("Cast", [], {"to": TensorProto.FLOAT}), ("Mul", [down], {})])
        to_samples = [("Mul", [up], {})]
        if dtype.kind == "u":
            limits = [graph.constant("lowest", np.float32(0)), graph.constant("highest", np.float32(peak))]
            to_samples += [("Round", [], {}), ("Clip", limits, {}), ("Cast", [], {"to": element})]
    values = "upres.sr"
    if dtype == np.uint8 and network[-1].op_type == "DepthToSpace":
        shuffle = network.pop()
        values = shuffle.input[0]
        side = next(item.i for item in shuffle.attribute if item.name == "blocksize")
        order = np.arange(3 * side**2).reshape(3, side, side).transpose(1, 2, 0).ravel()
        if graph.reordered(network, values, order):
            block = side
            flat = graph.constant("flat", np.array([1, 3 * side**2, -1]))
            last = [("Reshape", [flat], {}), ("Transpose", [], {"perm": [0, 2, 1]})]
        else:
            mode = next((item.s.decode() for item in shuffle.attribute if item.name == "mode"), "DCR")
            to_samples.append(("DepthToSpace", [], {"blocksize": side, "mode": mode}))
    else:
        network[-1].output[0] = values
    graph.nodes.extend(network)
    graph.chain(values, "sr", [*to_samples, *last])
    sides: list[int | str] = [1, "rows", "columns", 3] if block is None else [1, "blocks", 3 * block**2]
    return graph.serialised(dtype, dtype, sides)


@kept
def _hardness(file: bytes, name: str) -> bytes:
    """The ONNX of `hardness_graph`: where a router begins by sorting samples, that is done before converting them."""
    import onnx
    from onnx import TensorProto

    dtype = np.dtype(name)
    graph = _Graph(onnx.load_from_string(file))
    level = graph.constant("level", np.float32(1 / peak_of(dtype)))
    network = graph.take()
    moved = "upres.lr"
    graph.chain("lr", moved, FROM_PICTURE)
    while network[0].op_type in MOVING:
        graph.nodes.append(network.pop(0))
        moved = graph.nodes[-1].output[0]
    graph.chain(moved, "upres.levels", [("Cast", [], {"to": TensorProto.FLOAT}), ("Mul", [level], {})])
    for node in network:
        node.input[:] = ["upres.levels" if name == moved else name for name in node.input]
    graph.nodes.extend(network)
    graph.chain("hardness", "sr", TO_PICTURE)
    return graph.serialised(dtype, np.dtype(np.float32), [1, "rows", "columns", 1])


class _Graph:
    """An ONNX graph that is being rewritten."""

    def __init__(self, model: Any) -> None:
        from onnx import numpy_helper

        self._model = model
        self.nodes = model.graph.node
        self._tensors = {tensor.name: copy(tensor) for tensor in model.graph.initializer}
        self._to_array = numpy_helper.to_array

    def take(self) -> list[Any]:
        """The network's nodes but for constants, taken out, reading the picture from ``upres.lr``."""
        network = []
        for node in self.nodes:
            value = next((item.t for item in node.attribute if item.name == "value"), None)
            if node.op_type == "Constant" and value is not None:
                self._tensors[node.output[0]] = value
                value.name = node.output[0]
                continue
            node.input[:] = ["upres.lr" if name == "lr" else name for name in node.input]
            network.append(node)
        del self.nodes[:]
        return network

    def constant(self, name: str, value: Any) -> str:
        """A new constant; its name in the graph."""
        from onnx import numpy_helper

        tensor = numpy_helper.from_array(np.asarray(value), f"upres.{name}")
        self._tensors[tensor.name] = tensor
        return str(tensor.name)

    def chain(self, source: str, target: str, steps: list[Step]) -> None:
        """Nodes one after the other, from one tensor to another."""
        from onnx import helper

        names = [source, *(f"{target}.{number}" for number in range(1, len(steps))), target]
        for (kind, inputs, attributes), (before, after) in zip(steps, pairwise(names), strict=True):
            self.nodes.append(helper.make_node(kind, [before, *inputs], [after], **attributes))

    def value(self, name: str) -> Any:
        """Of a constant, as an array; None for what is computed."""
        return self._to_array(self._tensors[name]) if name in self._tensors else None

    def reading_bytes(self, network: list[Any], level: np.float32) -> list[Any]:
        """The network without what makes of the picture the bytes that it comes from."""
        kept, bytes_ = [], []
        for node in network:
            if node.op_type == "QuantizeLinear" and node.input[0] == "upres.lr" and self.value(node.input[1]) == level:
                bytes_.append(node.output[0])
                continue
            node.input[:] = ["upres.bytes" if name in bytes_ else name for name in node.input]
            kept.append(node)
        return kept

    def picking_bytes(self, network: list[Any], scale: tuple[str, str]) -> list[Any]:
        """The network with the pixels that it takes as they are, for an anchor, as bytes; to them engines add bytes."""
        from onnx import helper

        changed = []
        for node in network:
            kernel = self.value(node.input[1]) if node.op_type == "Conv" else None
            if kernel is None or node.input[0] != "upres.lr" or len(node.input) > 2 or not _picks(kernel):
                changed.append(node)
                continue
            name, result = node.input[1], node.output[0]
            ones = self.constant(f"{name}.scale", np.ones(len(kernel), np.float32))
            integers = self.constant(f"{name}.int8", kernel.astype(np.int8))
            zeros = self.constant(f"{name}.zeros", np.zeros(len(kernel), np.int8))
            node.input[1], node.output[0] = f"{name}.f32", f"{result}.f32"
            changed += [
                helper.make_node("DequantizeLinear", [integers, ones, zeros], [node.input[1]], axis=0),
                node,
                helper.make_node("QuantizeLinear", [node.output[0], *scale], [f"{result}.bytes"]),
                helper.make_node("DequantizeLinear", [f"{result}.bytes", *scale], [result]),
            ]
        return changed

    def reordered(self, network: list[Any], name: str, order: Any) -> bool:
        """Reorder the channels of a sum of convolutions with constant kernels; False where a tensor is none."""
        makers = {node.output[0]: node for node in network}
        readers = Counter(source for node in network for source in node.input)
        per_channel: list[tuple[Any, int]] = []  # nodes, and which of their inputs are constants to reorder

        def collect(name: str) -> bool:
            node = makers.get(name)
            if node is None or readers[name] > 1:
                return False
            if node.op_type == "Add":
                return all(collect(source) for source in node.input)
            if node.op_type in ("QuantizeLinear", "DequantizeLinear") and self.value(node.input[1]).ndim == 0:
                return collect(node.input[0])
            if node.op_type != "Conv" or any(item.name == "group" and item.i != 1 for item in node.attribute):
                return False
            for number, source in enumerate(node.input[1:], 1):
                maker = makers.get(source)  # of a kernel that is kept as integers
                places = [(node, number)] if maker is None else [(maker, place) for place in range(len(maker.input))]
                values = [self.value(owner.input[place]) for owner, place in places]
                if any(value is None for value in values):
                    return False
                per_channel.extend(place for place, value in zip(places, values, strict=True) if value.ndim)
            return True

        if not collect(name) or any(len(self.value(node.input[place])) != len(order) for node, place in per_channel):
            return False
        for node, place in per_channel:
            value = self.value(node.input[place])
            node.input[place] = self.constant(f"{node.input[place]}.{node.output[0]}.reordered", value[order])
        return True

    def serialised(self, source: np.dtype[Any], target: np.dtype[Any], sides: list[int | str]) -> bytes:
        """The file, of input ``lr`` and output ``sr`` of these dtypes; the output's sides, as numbers or names."""
        from onnx import helper

        graph = self._model.graph
        used = {name for node in graph.node for name in node.input}
        tensors = [tensor for name, tensor in self._tensors.items() if name in used]
        del graph.initializer[:]
        graph.initializer.extend(tensors)
        for value, name, dtype, shape in (
            (graph.input[0], "lr", source, [1, "height", "width", 3]),
            (graph.output[0], "sr", target, sides),
        ):
            value.CopyFrom(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), shape))
        return bytes(self._model.SerializeToString())


def _picks(kernel: Any) -> bool:
    """Whether a kernel takes single pixels as they are."""
    return bool(np.isin(kernel, (0, 1)).all() and (kernel.sum(axis=(1, 2, 3)) == 1).all())
