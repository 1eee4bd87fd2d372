"""What can be judged: models, checkpoints, folders of finished pictures, and bicubic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upres.errors import ImageError, MissingExtra, ModelError
from upres.evaluation.ensemble import self_ensemble
from upres.evaluation.pairs import files_by_name
from upres.images import read, resize
from upres.runtime import EffortMap, Upscaler
from upres.runtime.routing import multiply_adds

__all__ = ["BICUBIC", "CHECKPOINTS", "Method", "in_self_ensemble", "name_of", "open_method", "open_methods"]

BICUBIC = "bicubic"

CHECKPOINTS = (".safetensors", ".pth", ".pb")
"""What `upres.networks.load` reads."""


@dataclass(frozen=True)
class Method:
    """Something that gives an SR image for an LR image."""

    name: str
    scale: int
    run: Callable[[str, NDArray[np.uint8]], NDArray[np.uint8]]
    """From an image's name and LR (h, w, 3) to SR, uint8; may be called from several threads."""
    engine: str = ""
    precision: str = ""
    multiply_adds: dict[str, float] | None = None
    """By LR pixel, as `upres.networks.count` counts them, of the images that ran; where they depend on the image."""


def open_method(
    subject: str,
    scale: int | None,
    *,
    engine: str | None = None,
    precision: str = "f32",
    threads: int | None = None,
    effort: float | None = None,
) -> Method:
    """Prepare what a user named.

    Args:
        subject: a bundled model or family, the path of an ``.onnx``, the path of a checkpoint
            (``.safetensors``, or what authors released as ``.pth`` or ``.pb``), a folder of finished
            pictures, or ``bicubic``.
        scale: None for the subject's own, which bicubic and folders do not have.
        engine: ``openvino`` or ``onnxruntime`` for models (None: openvino), ``torch`` for checkpoints.
        precision: of the arithmetic; models know others than ``f32``, where the processor does.
        threads: at most this many; None for all.
        effort: of models with several branches, see `upres.Upscaler`; others do without.

    Raises:
        ModelError: if there is no such subject, or it has another scale, engine or precision.
        ValueError: if a scale is needed, or a checkpoint cannot be read.
    """
    path = Path(subject)
    if subject == BICUBIC:
        r = _given(scale, subject)
        return Method(subject, r, lambda _, lr: resize(lr, (lr.shape[0] * r, lr.shape[1] * r)))
    if path.is_dir():
        return Method(path.resolve().name, _given(scale, subject), _finished(path))
    if path.suffix in CHECKPOINTS:
        return _checkpoint(path, scale, engine, precision, threads)
    if engine == "torch":
        raise ModelError(f"{subject}: the torch engine runs checkpoints; models run by openvino or onnxruntime")
    r = scale or Upscaler.native_scale(subject)
    name, engine = path.stem if path.suffix == ".onnx" else subject, engine or "openvino"
    options: dict[str, Any] = {"scale": r, "engine": engine, "precision": precision, "threads": threads}
    upscaler = Upscaler(subject, **options)
    if not upscaler.route(r):
        raise ModelError(f"{subject} makes pictures larger: --scale must be 2 or more, not {r}")
    if effort is not None and upscaler.route(r)[0].card.routing:
        upscaler = Upscaler(subject, **options, effort=effort)
    routing = upscaler.route(r)[0].card.routing
    if routing is None:
        return Method(name, r, lambda _, lr: upscaler(lr), engine, precision)
    spent: dict[str, float] = {}

    def run(image: str, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        drawn = EffortMap(*lr.shape[:2])
        sr = np.concatenate(list(upscaler.bands(lr, effort_map=drawn)))
        spent[image] = multiply_adds(routing, drawn.plans[0], *lr.shape[:2])
        return sr

    return Method(name, r, run, engine, precision, spent)


def name_of(checkpoint: Path) -> str:
    """What results call the weights of a file: as it is called, or as the folder of a training is."""
    return checkpoint.resolve().parent.name if checkpoint.stem == "checkpoint" else checkpoint.stem


def open_methods(
    subjects: Sequence[str],
    scale: int | None,
    *,
    engine: str | None = None,
    precision: str = "f32",
    threads: int | None = None,
    effort: float | None = None,
    in_ensemble: bool = False,
) -> dict[int, list[Method]]:
    """All that a user named, by scale, lowest first; with bicubic first in each, unless one is called so.

    Arguments and errors are those of `open_method`; with ``in_ensemble``, models and checkpoints are run as
    `in_self_ensemble` says.

    Raises:
        ValueError: if two of one scale have one name, by which their results could not be told apart.
    """
    options: dict[str, Any] = {"engine": engine, "precision": precision, "threads": threads, "effort": effort}
    found: dict[int, dict[str, tuple[str, Method]]] = {}
    for subject in dict.fromkeys(subjects):
        method = open_method(subject, scale, **options)
        if in_ensemble and method.engine:
            method = in_self_ensemble(method)
        same = found.setdefault(method.scale, {})
        if method.name in same:
            raise ValueError(f"{same[method.name][0]} and {subject} are both called {method.name}: rename one of them")
        same[method.name] = (subject, method)
    for r, same in found.items():
        bicubic = same.pop(BICUBIC, (BICUBIC, open_method(BICUBIC, r)))
        found[r] = {BICUBIC: bicubic, **same}
    return {r: [method for _, method in found[r].values()] for r in sorted(found)}


def in_self_ensemble(method: Method) -> Method:
    """What makes the `self_ensemble` of a method's pictures, called by its name and a ``+``."""

    def run(image: str, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self_ensemble(lambda turned: method.run(image, turned), lr)

    return replace(method, name=f"{method.name}+", run=run, multiply_adds=None)


def _given(scale: int | None, subject: str) -> int:
    if scale is None:
        raise ValueError(f"{subject} has no scale of its own: give --scale")
    return scale


def _finished(folder: Path) -> Callable[[str, Any], NDArray[np.uint8]]:
    files = files_by_name(folder, without=("_HR", "_LR"))

    def load(name: str, _: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if name not in files:
            raise ImageError(f"{folder}: has no picture of {name}")
        return read(files[name]).rgb8()

    return load


def _checkpoint(path: Path, scale: int | None, engine: str | None, precision: str, threads: int | None) -> Method:
    try:
        import torch

        from upres.compression.structure import load
        from upres.evaluation.sub_images import upscale_sub_images
        from upres.networks.base import upscale_rgb8
        from upres.networks.classsr import ClassSR
    except ImportError as error:
        raise MissingExtra(f"The workbench ({error.name})", "lab") from None
    if engine not in (None, "torch"):
        raise ModelError(f"{path}: checkpoints run by torch; make a model for {engine} with `upres export`")
    if precision != "f32":
        raise ModelError(f"{path}: checkpoints run in f32, not {precision}; make a model with `upres export`")
    if threads:
        torch.set_num_threads(threads)
    _, network = load(path, scale)
    if isinstance(network, ClassSR):
        spent: dict[str, float] = {}

        def run(image: str, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
            sr, spent[image] = upscale_sub_images(network, lr)
            return sr

        return Method(name_of(path), network.scale, run, "torch", precision, spent)
    return Method(name_of(path), network.scale, lambda _, lr: upscale_rgb8(network, lr), "torch", precision)
