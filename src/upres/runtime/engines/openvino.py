"""OpenVINO, the default: the fastest of the CPU engines on these networks."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from functools import cache
from typing import Any

from numpy.typing import NDArray

from upres.errors import ModelError
from upres.runtime.cache import cache_folder
from upres.runtime.graph import PictureGraph
from upres.runtime.tiles import SIDES

__all__ = ["OpenVINOEngine", "has_bf16"]


Shape = tuple[int, ...]

ONE_AT_A_TIME = threading.Lock()
"""Held around all calls: the first ones from two threads at once have been seen to block each other for ever
(the binding guards its static variables while it holds the interpreter's lock), and one inference uses all cores."""


@cache
def core() -> Any:
    """OpenVINO's; call it while holding the lock."""
    return _openvino().Core()


@cache
def has_bf16() -> bool:
    """Whether the processor computes bfloat16 natively."""
    with ONE_AT_A_TIME:
        return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


KEPT_KERNELS = 64  # of code for any shape; by default it is 5000, half a megabyte for every new shape of a picture
PATIENCE = 8  # windows of a shape that run by the code for any
KEPT_WINDOWS = 16  # shapes of windows, of which compiled code is held
KEPT = 4  # shapes beside those of tiles, of which compiled code is held


class OpenVINOEngine:
    """Compiles for the shapes of large pictures' tiles, and for others that come twice in a row.

    Code for one shape runs half as long as code for any, but to make it takes the time of several small pictures.
    That for tiles is kept on disk. Of windows, which are of few shapes in turn, it compiles for those that have come
    often enough to pay for it, and keeps that on disk too.
    """

    def __init__(self, graph: PictureGraph, precision: str, threads: int | None, windows: bool) -> None:
        if precision == "bf16" and not has_bf16():
            raise ModelError("this processor does not compute bf16; use --precision f32")
        self._graph, self._threads, self._windows = graph, threads, windows
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "CPU_RUNTIME_CACHE_CAPACITY": str(KEPT_KERNELS),
        }
        if threads:
            self._options["INFERENCE_NUM_THREADS"] = threads
        if graph.quantised:
            # Which code for one shape has, that for any has not; they round halves differently.
            self._options["SNIPPETS_MODE"] = "DISABLE"
        self._cache = cache_folder("openvino")
        self._requests: dict[Shape, Any] = {}
        self._last: Shape | None = None
        self._came: Counter[Shape] = Counter()

    def run(self, lr: NDArray[Any]) -> NDArray[Any]:
        """See `upres.runtime.engines.Engine.run`."""
        shape = lr.shape
        with ONE_AT_A_TIME:
            frequent = self._is_window(shape) if self._windows else _is_tile(shape)
            known = shape if frequent or shape in self._requests or shape == self._last else ()
            self._last = None if self._windows else shape
            if known not in self._requests:
                self._requests[known] = self._compile(known, kept=frequent or not known)
                self._forget()
            (sr,) = self._requests[known].infer([lr[None]], share_inputs=True, share_outputs=True).values()
            return self._graph.picture(sr, lr.shape, self._threads)

    def _compile(self, shape: Shape, kept: bool) -> Any:
        """A request for one shape, or for any if none is given."""
        model = core().read_model(self._graph.onnx)
        if shape:
            model.reshape((1, *shape))
        options = {"CACHE_DIR": str(self._cache)} if kept and self._cache else {}
        return core().compile_model(model, "CPU", self._options | options).create_infer_request()

    def _forget(self) -> None:
        others = [shape for shape in self._requests if shape and (self._windows or not _is_tile(shape))]
        for shape in others[: -KEPT_WINDOWS if self._windows else -KEPT]:
            del self._requests[shape]
            del self._came[shape]

    def _is_window(self, shape: Shape) -> bool:
        self._came[shape] += 1
        return self._came[shape] > PATIENCE


def _is_tile(shape: Shape) -> bool:
    return set(shape[:2]) <= set(SIDES)


def _openvino() -> Any:
    """The package without its converter of models, whose import, telemetry and exit take longer than all else of it."""
    converter = "openvino.tools.ovc"
    if "openvino" in sys.modules or converter in sys.modules:
        import openvino

        return openvino
    sys.modules[converter] = None  # type: ignore[assignment]  # openvino goes on where it cannot be imported
    try:
        import openvino
    finally:
        del sys.modules[converter]
    return openvino
