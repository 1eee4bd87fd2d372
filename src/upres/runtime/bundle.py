"""Several networks in one ONNX file, side by side: each one's tensors have its name before theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from upres.runtime.model import Model

__all__ = ["DETAIL_MULTIPLY_ADDS", "ROUTER", "branches_of", "bundle", "detail_router", "router_of"]

ROUTER = "router"
DETAIL_BLOCK = 6  # LR pixels along a side
DETAIL_MULTIPLY_ADDS = 3 * (DETAIL_BLOCK - 2) ** 2
"""Of `detail_router`, per LR pixel."""
LUMA = (65.481, 128.553, 24.966)
"""Of RGB in [0, 1], in levels of 8 bits: ITU-R BT.601."""


def bundle(parts: Mapping[str, bytes]) -> bytes:
    """One ONNX file with the graphs of several, all of them reading ``lr``; what each gives is called name/output."""
    import onnx
    from onnx import helper

    graphs = {name: onnx.load_from_string(part) for name, part in parts.items()}
    nodes, tensors, outputs = [], [], []
    opsets: dict[str, int] = {}
    for name, part in graphs.items():
        _prefix(part.graph, f"{name}/")
        nodes += part.graph.node
        tensors += part.graph.initializer
        outputs += part.graph.output
        opsets.update({opset.domain: max(opset.version, opsets.get(opset.domain, 0)) for opset in part.opset_import})
    inputs = [value for value in next(iter(graphs.values())).graph.input if value.name == "lr"]
    graph = helper.make_graph(nodes, "bundle", inputs, outputs, tensors)
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    versions = max(part.ir_version for part in graphs.values())
    return bytes(helper.make_model(graph, opset_imports=imports, ir_version=versions).SerializeToString())


def branches_of(model: Model) -> list[Model]:
    """The branches of a bundle as models of their own, from the smallest to the largest; none of other models."""
    cards = model.card.routing.branches if model.card.routing else []
    return [Model(card, _part(model.onnx, card.name)) for card in cards]


def router_of(model: Model) -> bytes:
    """The router of a bundle: input ``lr`` (1, 3, H, W) in [0, 1], output ``hardness`` (1, 1, H/cell, W/cell)."""
    return _part(model.onnx, ROUTER)


def detail_router(cell: int) -> bytes:
    """A router that measures detail: the mean square of the luma's Laplacian, in levels of 8 bits.

    It is taken where its four neighbours lie in the same block of 6x6 pixels, so that nothing reaches past the picture.
    No classifier that was trained on the gain itself told it better: docs/routing.md.

    Args:
        cell: LR pixels along a side of a cell, a multiple of 6.
    """
    from onnx import TensorProto, helper, numpy_helper

    inner = range(1, DETAIL_BLOCK - 1)
    places = [(y, x) for y in inner for x in inner]
    kernel = np.zeros((len(places), 3, DETAIL_BLOCK, DETAIL_BLOCK), np.float32)
    for laplacian, (y, x) in zip(kernel, places, strict=True):
        laplacian[:, y, x] = 4
        for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            laplacian[:, y + down, x + across] = -1
    kernel *= np.array(LUMA, np.float32)[None, :, None, None]
    side = [cell // DETAIL_BLOCK] * 2
    nodes = [
        helper.make_node("Conv", ["lr", "kernel"], ["laplacians"], strides=[DETAIL_BLOCK] * 2),
        helper.make_node("Mul", ["laplacians", "laplacians"], ["squares"]),
        helper.make_node("AveragePool", ["squares"], ["means"], kernel_shape=side, strides=side),
        helper.make_node("ReduceMean", ["means", "channels"], ["hardness"], keepdims=1),
    ]
    graph = helper.make_graph(
        nodes,
        ROUTER,
        [helper.make_tensor_value_info("lr", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("hardness", TensorProto.FLOAT, [1, 1, "rows", "columns"])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(np.array([1]), "channels")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


def _part(file: bytes, name: str) -> bytes:
    """One of the networks, as it was."""
    import onnx

    model = onnx.load_from_string(file)
    graph, prefix = model.graph, f"{name}/"
    for items in (graph.node, graph.initializer, graph.output):
        kept = [item for item in items if (item.output[0] if items is graph.node else item.name).startswith(prefix)]
        del items[:]
        items.extend(kept)
    _rename(graph, lambda tensor: tensor.removeprefix(prefix))
    del model.metadata_props[:]
    return bytes(model.SerializeToString())


def _prefix(graph: Any, prefix: str) -> None:
    _rename(graph, lambda tensor: tensor if tensor in ("", "lr") else prefix + tensor)


def _rename(graph: Any, new: Callable[[str], str]) -> None:
    """Rename all tensors of a graph but its inputs."""
    for node in graph.node:
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
        node.name = ""
    for named in (*graph.initializer, *graph.output):
        named.name = new(named.name)
