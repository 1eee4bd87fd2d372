"""OpenVINO, the default: the fastest of the CPU engines on these networks."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from upres.errors import ModelError
from upres.runtime.tiles import SIDES

__all__ = ["OpenVINOEngine"]


ONE_AT_A_TIME = threading.Lock()
"""Held around all calls: the first ones from two threads at once have been seen to block each other for ever
(the binding guards its static variables while it holds the interpreter's lock), and one inference uses all cores."""


class OpenVINOEngine:
    """Compiles for each tile shape of large pictures, which runs faster than one model for any shape.

    Compiled code is kept on disk.
    """

    def __init__(self, graph: bytes, precision: str, threads: int | None) -> None:
        openvino = _openvino()
        with ONE_AT_A_TIME:
            self._core = openvino.Core()
            capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and "BF16" not in capabilities:
            raise ModelError("this processor does not compute bf16; use --precision f32")
        self._graph = graph
        self._options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            self._options["INFERENCE_NUM_THREADS"] = threads
        if cache := _cache_folder():
            self._options["CACHE_DIR"] = str(cache)
        self._requests: dict[tuple[int, ...], Any] = {}

    def run(self, lr: NDArray[Any]) -> NDArray[Any]:
        """See `upres.runtime.engines.Engine.run`."""
        shape = (1, *lr.shape) if set(lr.shape[:2]) <= set(SIDES) else ()
        with ONE_AT_A_TIME:
            if shape not in self._requests:
                self._requests[shape] = self._compile(shape)
            result = self._requests[shape].infer([lr[None]], share_inputs=True, share_outputs=True)
            return np.array(result[0][0])

    def _compile(self, shape: tuple[int, ...]) -> Any:
        """A request for one tile shape, or for any if none is given."""
        model = self._core.read_model(self._graph)
        if shape:
            model.reshape(shape)
        return self._core.compile_model(model, "CPU", self._options).create_infer_request()


def _openvino() -> Any:
    """The package without its converter of models, whose import, telemetry and exit take longer than all else of it."""
    converter = "openvino.tools.ovc"
    with ONE_AT_A_TIME:
        if "openvino" in sys.modules or converter in sys.modules:
            import openvino

            return openvino
        sys.modules[converter] = None  # type: ignore[assignment]  # openvino goes on where it cannot be imported
        try:
            import openvino
        finally:
            del sys.modules[converter]
        return openvino


def _cache_folder() -> Path | None:
    """Where compiled models are kept, or None where nothing can be written."""
    folder = platformdirs.user_cache_path("upres") / "openvino"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
