"""Several networks in one ONNX file, side by side: each one's tensors have its name before theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from upres.runtime.cache import kept
from upres.runtime.model import Model

__all__ = ["DETAIL_MULTIPLY_ADDS", "ROUTER", "branches_of", "bundle", "detail_router", "router_of"]

ROUTER = "router"
BAND = 12  # LR rows, of whose first ones detail is measured
ROWS = 6  # of them
STEP = 3  # LR pixels from one of a row's measurements to the next
DETAIL_MULTIPLY_ADDS = 3 * ROWS * (ROWS - 2) * 8 // BAND
"""Of `detail_router`, per LR pixel, if a cell is 24 of them wide."""
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

    It is taken at every third column and a third of the rows, which tells as much, and only where its four neighbours
    lie in the cell, so that nothing reaches past the picture. No classifier that was trained on the gain itself told it
    better: docs/routing.md. Bytes are sorted before they are converted, and one matrix product makes all Laplacians of
    six rows of a cell: of a picture's other forms, converting them takes most of the time.

    Args:
        cell: LR pixels along a side of a cell, 6 or a multiple of 12.
    """
    from onnx import TensorProto, helper, numpy_helper

    band, run = min(BAND, cell), 3 * cell
    places = [(y, x) for y in range(1, ROWS - 1) for x in range(1, cell - 1, STEP)]
    laplacians = np.zeros((len(places), ROWS, cell, 3), np.float32)
    for laplacian, (y, x) in zip(laplacians, places, strict=True):
        laplacian[y, x] = 4
        for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            laplacian[y + down, x + across] = -1
    laplacians *= np.array(LUMA, np.float32)
    tensors = {
        "laplacians": laplacians.reshape(len(places), -1).T,
        **{
            name: np.array(values)
            for name, values in {
                "zero": [0],
                "one": [1],
                "two": [2],
                "rows": [ROWS],
                "outer": [0, 1],
                "runs": [1, 0, -1, run],  # (1, H, W/cell, run)
                "bands": [-1, band, 0, run],  # (H/band, band, W/cell, run)
                "flat": [0, 0, ROWS * run],  # (H/band, W/cell, rows·run)
                "by_cell": [-1, cell // band, 0],  # (H/cell, bands of a cell, W/cell)
            }.items()
        },
    }
    nodes = [
        helper.make_node("Transpose", ["lr"], ["picture"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["picture", "runs"], ["in_runs"]),
        helper.make_node("Reshape", ["in_runs", "bands"], ["in_bands"]),
        helper.make_node("Slice", ["in_bands", "zero", "rows", "one"], ["first_rows"]),
        helper.make_node("Transpose", ["first_rows"], ["together"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["together", "flat"], ["samples"]),
        helper.make_node("MatMul", ["samples", "laplacians"], ["products"]),
        helper.make_node("Mul", ["products", "products"], ["squares"]),
        helper.make_node("ReduceMean", ["squares", "two"], ["means"], keepdims=1),  # (H/band, W/cell, 1)
        helper.make_node("Transpose", ["means"], ["turned"], perm=[2, 0, 1]),
        helper.make_node("Reshape", ["turned", "by_cell"], ["of_cells"]),
        helper.make_node("ReduceMean", ["of_cells", "one"], ["cells"], keepdims=0),
        helper.make_node("Unsqueeze", ["cells", "outer"], ["hardness"]),
    ]
    graph = helper.make_graph(
        nodes,
        ROUTER,
        [helper.make_tensor_value_info("lr", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("hardness", TensorProto.FLOAT, [1, 1, "rows", "columns"])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


@kept
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
