"""ONNX Runtime, an optional engine that is at home on most machines."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from upres.errors import MissingExtra
from upres.runtime.graph import PictureGraph

__all__ = ["ONNXRuntimeEngine"]


class ONNXRuntimeEngine:
    """One session for tiles of any shape."""

    def __init__(self, graph: PictureGraph, threads: int | None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra("ONNX Runtime", "ort") from None
        self._graph, self._threads = graph, threads
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph.onnx, options, providers=["CPUExecutionProvider"])

    def run(self, lr: NDArray[Any]) -> NDArray[Any]:
        """See `upres.runtime.engines.Engine.run`."""
        (sr,) = self._session.run(None, {"lr": lr[None]})
        return self._graph.picture(sr, lr.shape, self._threads)
