"""Model files: one ONNX with its card, and the graph that engines run.

The file holds the network as trained: f32, NCHW, in [0, 1]. Engines get it wrapped for
pictures as they lie in memory, H x W x 3 of bytes, 16-bit words or floats. Rounding and
clamping are part of the graph (engines truncate or wrap around on their own), and so is
the change to bytes before the final pixel shuffle, which then moves a quarter as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from upres.errors import ModelError
from upres.runtime.card import Card
from upres.runtime.samples import peak_of

__all__ = ["CARD_KEY", "Model", "bundled", "load_model"]

CARD_KEY = "upres.card"

Step = tuple[str, list[str], dict[str, Any]]
"""An ONNX operator, its inputs after the first, its attributes."""


@dataclass(frozen=True)
class Model:
    """A model file in memory."""

    card: Card
    onnx: bytes
    """The file: input ``lr`` (1, 3, H, W), output ``sr`` (1, 3, r·H, r·W), f32."""

    def picture_graph(self, dtype: np.dtype[Any]) -> bytes:
        """The ONNX graph with input ``lr`` (1, H, W, 3) and output ``sr`` (1, r·H, r·W, 3) of one dtype.

        Args:
            dtype: uint8 or uint16, full range, rounded half to even and clamped; or float32
                in [0, 1], neither rounded nor clamped.
        """
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        model = onnx.load_from_string(self.onnx)
        graph = model.graph
        element = helper.np_dtype_to_tensor_dtype(dtype)
        peak = peak_of(dtype)
        constants = {"down": self.card.value_range / peak, "up": peak / self.card.value_range, "zero": 0, "peak": peak}
        graph.initializer.extend(
            numpy_helper.from_array(np.array(value, np.float32), f"upres.{name}") for name, value in constants.items()
        )
        network = list(graph.node)
        for node in network:
            node.input[:] = ["upres.lr" if name == "lr" else name for name in node.input]
        to_samples: list[Step] = [("Mul", ["upres.up"], {})]
        if dtype.kind == "u":
            to_samples += [("Round", [], {}), ("Clip", ["upres.zero", "upres.peak"], {}), ("Cast", [], {"to": element})]
        last = network[-1]
        if last.op_type == "DepthToSpace" and dtype == np.uint8:
            shuffle = {attribute.name: helper.get_attribute_value(attribute) for attribute in network.pop().attribute}
            values = last.input[0]
            to_samples.append(("DepthToSpace", [], shuffle))
        else:
            last.output[0] = values = "upres.sr"
        to_values: list[Step] = [
            ("Transpose", [], {"perm": [0, 3, 1, 2]}),
            ("Cast", [], {"to": TensorProto.FLOAT}),
            ("Mul", ["upres.down"], {}),
        ]
        del graph.node[:]
        graph.node.extend(_chain("lr", "upres.lr", to_values))
        graph.node.extend(network)
        graph.node.extend(_chain(values, "sr", [*to_samples, ("Transpose", [], {"perm": [0, 2, 3, 1]})]))
        graph.input[0].CopyFrom(helper.make_tensor_value_info("lr", element, [1, "height", "width", 3]))
        graph.output[0].CopyFrom(helper.make_tensor_value_info("sr", element, [1, "rows", "columns", 3]))
        return bytes(model.SerializeToString())


def _chain(source: str, target: str, steps: list[Step]) -> list[Any]:
    """Nodes one after the other, from one tensor to another."""
    from onnx import helper

    names = [source, *(f"{target}.{number}" for number in range(1, len(steps))), target]
    return [
        helper.make_node(kind, [before, *inputs], [after], **attributes)
        for (kind, inputs, attributes), (before, after) in zip(steps, pairwise(names), strict=True)
    ]


def load_model(path: Path) -> Model:
    """Read a model file.

    Raises:
        ModelError: if it cannot be read, is no ONNX, or has no card.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        data = path.read_bytes()
        properties = {item.key: item.value for item in onnx.load_from_string(data).metadata_props}
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    except DecodeError:
        raise ModelError(f"{path}: not an ONNX file") from None
    if CARD_KEY not in properties:
        raise ModelError(f"{path}: has no card of upres; make models with `upres export`")
    return Model(Card.from_json(properties[CARD_KEY]), data)


def bundled() -> dict[str, Path]:
    """The bundled models' names and files, in order of their names."""
    folder = Path(str(resources.files("upres.weights")))
    return {path.stem: path for path in sorted(folder.glob("*.onnx"))}
