"""ONNX Runtime, an optional engine that is at home on most machines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from upres.errors import MissingExtra

__all__ = ["ONNXRuntimeEngine"]


class ONNXRuntimeEngine:
    """One session for tiles of any shape."""

    def __init__(self, graph: bytes, threads: int | None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra("ONNX Runtime", "ort") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, lr: NDArray[Any]) -> NDArray[Any]:
        """See `upres.runtime.engines.Engine.run`."""
        return np.asarray(self._session.run(None, {"lr": lr[None]})[0][0])
