"""Latency: the milliseconds that a network takes as it is deployed, exported and run by the upscaler."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
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

__all__ = ["Latency", "Options", "Stopwatch", "predicted", "signature"]

BETWEEN = "; "
LARGEST = 4.0  # as for a stack of 10 convolutions, of those with 2 and with 5


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
    additive: bool = False
    """Take the sum of the operations' latencies, where other networks tell it: see `predicted`."""
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


def signature(model: Path, height: int, width: int) -> str:
    """What of a model decides its time: the operations in order, what shapes they are given and what shape they make.

    Two networks that differ in how their convolutions train, or in a slope, are one model to a clock.

    Args:
        model: the ``.onnx``.
        height: of the LR picture.
        width: likewise.
    """
    loaded = onnx.load(model)
    for dimension, value in zip(loaded.graph.input[0].type.tensor_type.shape.dim, (1, 3, height, width), strict=True):
        dimension.dim_value = value
    graph = onnx.shape_inference.infer_shapes(loaded, strict_mode=True).graph
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    made = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
    }
    return BETWEEN.join(
        f"{node.op_type}{[weights[name] for name in node.input if name in weights]}{made.get(node.output[0])}"
        for node in graph.node
        if node.op_type not in ("Constant", "Identity")
    )


def predicted(signature: str, known: Mapping[str, float]) -> float | None:
    """The latency of a model as the sum of its operations', of which others that were measured tell.

    `benchmarks/additive.py` measures how far that holds: to 1.3 % for plain stacks.

    Args:
        signature: of the model.
        known: signatures of others, and their milliseconds.

    Returns:
        Milliseconds; None if the operations of the others do not make up the model's, or only with weights whose
        absolute sum is so large that the noise of what was measured would grow.
    """
    counts = [Counter(text.split(BETWEEN)) for text in (signature, *known)]
    names = sorted(set().union(*counts))
    model, *others = np.array([[count[name] for name in names] for count in counts], np.float64)
    if not others:
        return None
    weights = np.linalg.lstsq(np.stack(others, axis=1), model, rcond=None)[0]
    if not np.allclose(weights @ np.stack(others), model) or np.abs(weights).sum() > LARGEST:
        return None
    return float(weights @ np.array(list(known.values())))
