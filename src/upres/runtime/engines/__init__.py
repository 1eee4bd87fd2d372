"""What executes a model. Each engine is one module behind one short class."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from upres.errors import ModelError
from upres.runtime.graph import PictureGraph

__all__ = ["ENGINES", "PRECISIONS", "Engine", "open_engine"]

ENGINES = ("openvino", "onnxruntime")
PRECISIONS = ("auto", "int8", "bf16", "f32")
"""Of the convolutions; an engine itself computes f32 or bf16, and in integers what the model has quantised."""


class Engine(Protocol):
    """Runs one model on tiles of one dtype."""

    def run(self, lr: NDArray[Any]) -> NDArray[Any]:
        """(H, W, 3) LR, contiguous, sides aligned as the card says, to (r·H, r·W, 3) SR.

        May be called from several threads.
        """
        ...


def open_engine(
    name: str, graph: PictureGraph, precision: str, threads: int | None, *, windows: bool = False
) -> Engine:
    """Prepare an engine for a graph.

    Args:
        name: one of `ENGINES`.
        graph: what it runs.
        precision: ``f32`` or ``bf16``; what the arithmetic is done in where the model is not quantised.
        threads: at most this many, or None for all that the machine has.
        windows: whether inputs are of a few shapes in turn, instead of all tiles of a picture of one.

    Raises:
        ModelError: for a precision that the engine or the processor lacks.
        MissingExtra: if the engine is not installed.
    """
    if name == "openvino":
        from upres.runtime.engines.openvino import OpenVINOEngine

        return OpenVINOEngine(graph, precision, threads, windows)
    from upres.runtime.engines.onnxruntime import ONNXRuntimeEngine

    if precision != "f32":
        raise ModelError(f"the onnxruntime engine computes f32, not {precision}; use --engine openvino")
    return ONNXRuntimeEngine(graph, threads)
