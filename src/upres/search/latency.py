"""Latency: the milliseconds that a network takes as it is deployed, exported and run by the upscaler."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import onnx
import torch

from upres.compression.export import export
from upres.networks import NetworkSpec
from upres.networks.checkpoint import save_checkpoint
from upres.runtime import Upscaler, bundled, load_model
from upres.training.checked import Count

__all__ = ["Latency", "Options", "Stopwatch", "signature"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is timed, and how."""

    reference: str
    """A bundled model, or an ``.onnx``, whose runs take turns with every candidate's."""
    precision: Literal["f32", "bf16", "int8"] = "f32"
    """What is deployed; of candidates in int8, the twin that `upres export --int8` makes."""
    width: Count = 640
    height: Count = 360
    """Of the LR picture."""
    threads: Annotated[int, (0, 1024)] = 0
    """0 for all."""
    pairs: Annotated[int, (3, 1000)] = 15
    """Runs of each, in turn."""
    limit: Annotated[float, (0, math.inf)] = 0.0
    """Times what the reference takes: what takes longer is not trained; 0 for no limit but that of the constraints."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one picture."""

    milliseconds: float
    lower: float
    upper: float
    """A quarter of the pairs of runs said no more than the first, a quarter no less than the second."""


class Stopwatch:
    """Times networks beside a reference, so that a machine that is busy for a while does not make one look slow.

    A latency is the median ratio of a candidate's run to the reference's before it, times the milliseconds of the
    reference, which are measured once for a whole search.

    Args:
        options: how.
        photographs: a folder by which candidates are quantised, where int8 is timed.
        milliseconds: of the reference, if they are known from before.
    """

    def __init__(self, options: Options, photographs: Path, milliseconds: float | None = None) -> None:
        self.options, self.photographs = options, photographs
        self.lr = np.random.default_rng(0).integers(0, 256, (options.height, options.width, 3), np.uint8)
        scale = load_model(bundled().get(options.reference, Path(options.reference))).card.scale
        self.reference = self._runner(Upscaler(options.reference, scale=scale, **self._how))
        self.milliseconds = milliseconds or statistics.median(self.reference() for _ in range(options.pairs))

    def __call__(self, model: Path) -> Latency:
        """What a model takes."""
        run = self._runner(Upscaler(model, scale=load_model(model).card.scale, **self._how))
        ratios = [(1 / self.reference()) * run() for _ in range(self.options.pairs)]
        first, middle, third = statistics.quantiles(ratios, n=4, method="inclusive")
        return Latency(*(self.milliseconds * ratio for ratio in (middle, first, third)))

    def model(self, spec: NetworkSpec, folder: Path) -> Path:
        """A network exported with fresh weights, which do not matter to a clock.

        Raises:
            ValueError: if it cannot be exported so.
        """
        checkpoint, model = folder / "timed.safetensors", folder / "timed.onnx"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            save_checkpoint(checkpoint, spec, spec.build())
        export(checkpoint, model, int8=self.photographs if self.options.precision == "int8" else None)
        return model

    @property
    def _how(self) -> dict[str, Any]:
        return {"precision": self.options.precision, "threads": self.options.threads or None}

    def _runner(self, upscaler: Upscaler) -> Callable[[], float]:
        def run() -> float:
            start = time.perf_counter()
            upscaler(self.lr)
            return 1000 * (time.perf_counter() - start)

        run()  # compiles
        return run


def signature(model: Path) -> str:
    """What of a model decides its time: the operations in order, and the shapes of what they are given.

    Two networks that differ in how their convolutions train, or in a slope, are one model to a clock.
    """
    graph = onnx.load(model).graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    return "; ".join(
        f"{node.op_type}{[shapes[name] for name in node.input if name in shapes]}"
        f"{[list(attribute.ints) for attribute in node.attribute if attribute.ints]}"
        for node in graph.node
        if node.op_type not in ("Constant", "Identity")
    )
