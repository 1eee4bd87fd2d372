"""Reading a network from a file: our checkpoints, and what authors released."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from upres.networks import (
    Network,
    NetworkSpec,
    bicubicpp,
    bsrn,
    carn,
    classsr,
    efdn,
    espcn,
    falsr,
    fsrcnn,
    imdn,
    latticenet,
    msrresnet,
    pan,
    rfdn,
    rlfn,
    span,
    srcnn,
    vdsr,
)
from upres.networks.checkpoint import fitted, load_checkpoint
from upres.networks.published import Published, State

__all__ = ["LAYOUTS", "load"]

LAYOUTS: tuple[Published, ...] = (
    *bicubicpp.PUBLISHED,
    *bsrn.PUBLISHED,
    *carn.PUBLISHED,
    *classsr.PUBLISHED,
    *efdn.PUBLISHED,
    *espcn.PUBLISHED,
    *falsr.PUBLISHED,
    *fsrcnn.PUBLISHED,
    *imdn.PUBLISHED,
    *latticenet.PUBLISHED,
    *msrresnet.PUBLISHED,
    *pan.PUBLISHED,
    *rfdn.PUBLISHED,
    *rlfn.PUBLISHED,
    *span.PUBLISHED,
    *srcnn.PUBLISHED,
    *vdsr.PUBLISHED,
)
"""The released files that are recognised."""

WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Under what training programs keep the weights beside their own state; the averaged ones go first."""


class _Misfit(Exception):
    """A file is not of a layout: how like it is, 0 to 1, and what differs."""

    def __init__(self, likeness: float, layout: Published, difference: str) -> None:
        super().__init__(difference)
        self.likeness = likeness
        self.network = layout.network


def load(path: Path, scale: int | None = None) -> tuple[NetworkSpec, Network]:
    """Read a network with its weights, in evaluation mode on the CPU.

    Args:
        path: a checkpoint of upres; or a released file: ``.safetensors``, a frozen TensorFlow graph ``.pb``, of which
            only the constants are read, or what ``torch.save`` wrote of tensors, also nested under ``params``,
            ``params_ema``, ``state_dict`` or ``model``, also with ``module.`` before all names.
        scale: for weights that serve several (CARN's, PAN's for 2 and 3, SRCNN's and VDSR's), which it shall be;
            None for a checkpoint's own, the one in the file's name, like ``x3``, or else the network's default.

    Returns:
        What rebuilds the network, with the arguments that the shapes tell; and the network.

    Raises:
        ValueError: if the file cannot be read, is of no network known, or is not of the scale.
    """
    metadata, state = read_tensors(path)
    ours = "network" in metadata
    spec, network = load_checkpoint(path) if ours else _recognise(state, scale, path)
    if ours and scale != network.scale and scale in network.scales:
        spec = NetworkSpec(spec.name, {**spec.arguments, "scale": scale})
        network = fitted(spec.build(), network.state_dict())
    if scale not in (None, network.scale):
        raise ValueError(f"{path}: is of scale {network.scale}, not {scale}")
    return spec, network.eval()


def read_tensors(path: Path) -> tuple[dict[str, str], State]:
    """The metadata and the tensors of a file of any kind that `load` knows.

    Raises:
        ValueError: if it cannot be read.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return {}, _read_frozen(path) if path.suffix == ".pb" else _read_torch(path)


def _recognise(state: State, scale: int | None, path: Path) -> tuple[NetworkSpec, Network]:
    """The network of the first layout that fits."""
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    misfits = []
    for layout in LAYOUTS:
        try:
            return _fit(layout, state, scale, path)
        except _Misfit as misfit:
            misfits.append(misfit)
    nearest = max(misfits, key=lambda misfit: misfit.likeness)
    known = ", ".join(sorted({layout.network for layout in LAYOUTS}))
    raise ValueError(
        f"{path}: its {len(state)} tensors are of no network known. Looked for checkpoints of upres and the released "
        f"files of {known}; the nearest is {nearest.network}, but {nearest}"
    )


def _fit(layout: Published, state: State, scale: int | None, path: Path) -> tuple[NetworkSpec, Network]:
    """The network of a layout with these tensors."""
    likeness = 0.0
    try:
        renamed, unknown = layout.rename(state)
        likeness = len(renamed) / max(len(renamed) + len(unknown), 1)
        if unknown or not renamed:
            raise _Misfit(likeness, layout, f"that has no {unknown[0] if unknown else 'such names'}")
        arguments = layout.arguments(renamed)
        chosen = _scale(arguments.pop("scale", None), scale, path)
        spec = NetworkSpec(layout.network, arguments if chosen is None else {"scale": chosen, **arguments})
        network = spec.build()
    except KeyError as missing:
        raise _Misfit(likeness, layout, f"that has {missing.args[0]} as well") from None
    except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise _Misfit(likeness, layout, f"its shapes are of no such network ({error})") from None
    expected = network.state_dict()
    differing = [
        name
        for name in sorted(expected.keys() | renamed.keys())
        if name not in renamed or name not in expected or renamed[name].shape != expected[name].shape
    ]
    if differing:
        likeness *= 1 - len(differing) / len(expected.keys() | renamed.keys())
        raise _Misfit(
            likeness, layout, f"{spec} differs in {len(differing)} tensors, the first {differing[0]} by our name"
        )
    network.load_state_dict(renamed)
    return spec, network


def _scale(possible: int | list[int] | None, wanted: int | None, path: Path) -> int | None:
    """Of the scales that weights serve, the one wanted, else the one in the file's name, else the first."""
    in_name = [int(number) for number in re.findall(r"x([2-8])(?!\d)", path.stem.lower())]
    preferred = in_name if wanted is None else [wanted]
    if possible is None:
        return next(iter(preferred), None)
    serves = [possible] if isinstance(possible, int) else possible
    return next((scale for scale in preferred if scale in serves), serves[0])


def _read_safetensors(path: Path) -> tuple[dict[str, str], State]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: not a readable .safetensors file ({error})") from None


def _read_torch(path: Path) -> State:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (AttributeError, EOFError, LookupError, OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: cannot be read as tensors alone, without running what it holds ({reason})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds a {type(content).__name__} and no tensors by name")
    while inside := next((content[key] for key in WRAPPERS if isinstance(content.get(key), dict)), None):
        content = inside
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _read_frozen(path: Path) -> State:
    """The numeric constants of a TensorFlow graph, by the names of their nodes."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.util.tensor_util import make_ndarray

    try:
        graph = GraphDef.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ValueError(f"{path}: not a readable TensorFlow graph ({error})") from None
    constants = {node.name: make_ndarray(node.attr["value"].tensor) for node in graph.node if node.op == "Const"}
    return {name: torch.from_numpy(value.copy()) for name, value in constants.items() if value.dtype.kind in "fiu"}
