"""Several models in one that spends its work where the picture needs it: see `upres.runtime.routing`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from upres.compression.export import check_target, middles, write_model
from upres.errors import ImageError, ModelError
from upres.metrics.psnr import luma
from upres.runtime import Card, Model, Upscaler, bundled, load_model
from upres.runtime.bundle import DETAIL_MULTIPLY_ADDS, ROUTER, bundle, detail_router
from upres.runtime.card import CONTEXT, Routing
from upres.runtime.engines import Engine, open_engine
from upres.runtime.graph import hardness_graph
from upres.runtime.router import judged
from upres.runtime.routing import Planner, multiply_adds

__all__ = ["make_bundle"]

CELL = 24  # LR pixels; smaller ones are told apart no better by their detail, and windows of them cost more
PHOTOGRAPHS = 48
SIDE = 480  # LR pixels; of larger photographs the middle is taken
ROUNDS = 12  # of measuring what branches cost
WARM_UP = 3  # that do not count
HARDNESSES = np.geomspace(1e4, 1, 81)  # prices that are tried, as the hardness at which the largest branch just pays


@dataclass(frozen=True)
class _Example:
    """A photograph's LR size, the hardness of its cells, and each branch's squared errors in them, summed."""

    size: tuple[int, int]
    hardness: NDArray[np.float32]
    areas: NDArray[np.float64]
    errors: list[NDArray[np.float64]]


def make_bundle(
    branches: Sequence[str],
    path: Path,
    photographs: Path,
    *,
    loss: float = 0.03,
) -> Card:
    """Write models of one scale as one model file, with a router that measures detail and lines that predict gains.

    Args:
        branches: bundled models or ``.onnx`` files, two or more.
        path: the ``.onnx`` to write, atomically.
        photographs: a folder, by which the lines are fitted and the default effort is chosen.
        loss: dB of PSNR on Y, mean of the photographs; what the default effort may fall behind the largest branch.

    Raises:
        ModelError: if a model cannot be read, or they do not fit together.
        ImageError: if the photographs cannot be read, or there are none.
        ValueError: if ``path`` is none to write a model to.
    """
    files = [bundled().get(name, Path(name)) for name in branches]
    check_target(path, *files)
    opened = sorted(((load_model(file), file) for file in files), key=lambda pair: pair[0].card.multiply_adds)
    models = [model for model, _ in opened]
    _check(models)
    scale, router = models[0].card.scale, detail_router(CELL)
    upscalers = [
        Upscaler(file, scale=scale, precision="int8" if model.card.precision == "int8" else "f32")
        for model, file in opened
    ]
    engine = open_engine("openvino", hardness_graph(router, np.dtype(np.uint8)), "f32", None)
    examples = [_example(lr, hr, upscalers, engine, scale) for lr, hr in middles(photographs, scale, SIDE, PHOTOGRAPHS)]
    if not examples:
        raise ImageError(f"{photographs}: holds no photographs to fit a bundle by")
    gains = [_line(examples, branch) for branch in range(1, len(models))]
    cards = [model.card for model in models]
    costs = _costs(upscalers)
    routing = _priced(Routing(CELL, CONTEXT, 0.0, gains, cards, DETAIL_MULTIPLY_ADDS, costs), examples, loss)
    largest = cards[-1]
    card = replace(
        largest,
        name=path.stem,
        network="bundle",
        arguments={},
        parameters=sum(card.parameters for card in cards),
        multiply_adds=round(np.mean([_routed(example, routing)[1] for example in examples])),
        precision="int8" if any(card.precision == "int8" for card in cards) else largest.precision,
        recipe="",
        trained="",
        quality={},
        routing=routing,
    )
    parts = {ROUTER: router, **{model.card.name: model.onnx for model in models}}
    write_model(onnx.load_from_string(bundle(parts)), card, path)
    return card


def _check(models: list[Model]) -> None:
    cards = [model.card for model in models]
    names = [card.name for card in cards]
    if len(cards) < 2 or len(set(names)) < len(names):
        raise ModelError(f"a bundle takes two or more different models, not {', '.join(names)}")
    if ROUTER in names:
        raise ModelError(f"a branch cannot be called {ROUTER}: make the model anew under another name")
    if len({card.scale for card in cards}) > 1:
        scales = ", ".join(f"{card.name} x{card.scale}" for card in cards)
        raise ModelError(f"the models of a bundle have one scale, but these are {scales}")
    for card in cards:
        if card.halo is None or card.routing:
            kind = "is a bundle itself" if card.routing else "looks at all of the picture at once"
            raise ModelError(f"{card.name} {kind}, so it cannot be a branch")


def _example(
    lr: NDArray[np.uint8], hr: NDArray[np.uint8], upscalers: list[Upscaler], router: Engine, scale: int
) -> _Example:
    height, width = lr.shape[:2]
    target = luma(hr)
    return _Example(
        (height, width),
        judged(router, lr, CELL),
        _cells(np.ones((height, width))),
        [_cells((luma(upscale(lr)) - target) ** 2, scale) for upscale in upscalers],
    )


def _cells(values: NDArray[np.float64], scale: int = 1) -> NDArray[np.float64]:
    """Sums of values of SR pixels in the cells."""
    side = CELL * scale
    rows, columns = (np.arange(0, length, side) for length in values.shape)
    return np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)


def _costs(upscalers: list[Upscaler]) -> list[float]:
    """What models take for a picture, in turn: medians, as shares of the largest one's."""
    lr = np.zeros((SIDE, SIDE, 3), np.uint8)
    times = np.zeros((ROUNDS, len(upscalers)))
    for row in times:
        for place, upscaler in enumerate(upscalers):
            start = time.perf_counter()
            upscaler(lr)
            row[place] = time.perf_counter() - start
    medians = np.median(times[WARM_UP:], axis=0)
    return [round(float(cost), 3) for cost in medians / medians[-1]]


def _line(examples: list[_Example], branch: int) -> tuple[float, float]:
    """Up to which hardness a branch gains nothing, and how its gain grows from there; by each photograph's error."""
    hardness = np.concatenate([example.hardness.ravel() for example in examples])
    gains = np.concatenate(
        [((example.errors[0] - example.errors[branch]) / example.errors[-1].sum()).ravel() for example in examples]
    )
    weights = np.concatenate([(example.areas / example.errors[-1].sum()).ravel() for example in examples])
    order = np.argsort(hardness)
    floor = hardness[order][np.cumsum(gains[order]).argmin()]
    above = np.maximum(hardness - floor, 0)
    squares = (weights * above**2).sum()
    return float((above * gains).sum() / squares) if squares else 0.0, float(floor)


def _routed(example: _Example, routing: Routing) -> tuple[float, float]:
    """The squared error of a photograph by default, and its multiply-adds by LR pixel."""
    plan = Planner(example.hardness, routing, slice(0, example.size[0]), example.size).at(routing.price)
    error = example.errors[plan.base].copy()
    for window in plan.windows:
        spans = (window.tile.rows, window.tile.columns)
        cells = tuple(slice(span.keep_start // CELL, -(-span.keep_stop // CELL)) for span in spans)
        error[cells] = example.errors[window.branch][cells]
    return float(error.sum()), multiply_adds(routing, plan, *example.size)


def _priced(routing: Routing, examples: list[_Example], loss: float) -> Routing:
    """With the highest price at which no more PSNR is lost than may be."""
    slope, _ = routing.gains[-1]
    for hardness in HARDNESSES:
        priced = replace(routing, price=slope * hardness)
        losses = [10 * np.log10(_routed(example, priced)[0] / example.errors[-1].sum()) for example in examples]
        if np.mean(losses) <= loss:
            break
    return priced
