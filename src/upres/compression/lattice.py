"""Scales of few bits, by which every engine rounds to the same integers.

Engines add products up as integers, alike. What they make of a sum then they compute in 32-bit floating point, each in
an order of its own, and where that comes out nearly half-way between two levels, they choose differently, which grows
from layer to layer. Where scales are numbers of few bits, what a layer draws are multiples of one number, and biases
that are half of it off keep them farther from half-way than floating point errs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from upres.compression.channels import channel_groups, families
from upres.compression.equalise import between_convolutions, multiplied
from upres.networks import Network

__all__ = [
    "LEVELS",
    "WEIGHTS",
    "Convolved",
    "convolutions",
    "in_few_bits",
    "of_features",
    "settled",
    "step_of",
    "unit_of",
]

FEATURES, WEIGHTS = 3, 2
"""Bits of the scales of features and of weights."""

LEVELS = 255
"""Steps from the lowest to the highest of 8 bits, and of a picture from black to white."""


def in_few_bits(values: Tensor, bits: int) -> Tensor:
    """The nearest numbers of so many bits, times powers of two, of positive ones."""
    mantissa, exponent = torch.frexp(values)
    return torch.ldexp((mantissa * 2**bits).round(), exponent - bits)


def step_of(quantiser: Any) -> float:
    """How far two levels of features are apart."""
    return float(quantiser.input_range) / LEVELS


def unit_of(number: float) -> float:
    """What a number is times one of few bits: 1 for the steps of features, and not for those of pictures."""
    return number / float(in_few_bits(torch.tensor(number, dtype=torch.float64), FEATURES))


@torch.no_grad()
def settled(network: Network, core: nn.Module, quantisers: Sequence[Any], batches: Sequence[Tensor]) -> Network:
    """A copy of a network that draws the same, of whose features the steps are of few bits.

    What lies between two convolutions is multiplied until its step is a power of two, which costs nothing. What skips
    add to has one number for several steps: that which takes them nearest. All steps are rounded then.

    Args:
        network: merged; stays as it is.
        core: the same in `Aligned`, with quantisers, whose ranges are changed.
        quantisers: NNCF's.
        batches: (N, 3, H, W) of LR in [0, 1].
    """
    found = convolutions(core, quantisers, batches[0][:1])
    readers = {f"{name}.weight".partition(".")[2]: reader for name, (reader, _) in found.items()}
    for groups in families(channel_groups(network)):
        axes = [axis for axis, _ in groups[0].places]
        read = list(dict.fromkeys(readers.get(name) for name, axis in axes if axis == 1))
        whole = all(len(groups) == network.state_dict()[name].shape[axis] for name, axis in axes)
        if not (whole and all(read) and between_convolutions(network, groups)):
            continue
        factor = _factor([step_of(quantiser) for quantiser in read])
        scaled = multiplied(network, groups, factor.expand(len(groups)), batches)
        if scaled is not network:
            network = scaled
            for quantiser in read:
                _set_step(quantiser, step_of(quantiser) * float(factor))
    for quantiser in filter(of_features, quantisers):
        _set_step(quantiser, float(in_few_bits(torch.tensor(step_of(quantiser)), FEATURES)))
    return network


def of_features(quantiser: Any) -> bool:
    """Whether it rounds features, not weights."""
    return hasattr(quantiser, "input_range")


def _factor(steps: Sequence[float]) -> Tensor:
    """What takes one step to a power of two, or several nearest to numbers of few bits."""
    few = torch.arange(2 ** (FEATURES - 1), 2**FEATURES if len(steps) > 1 else 2 ** (FEATURES - 1) + 1)
    tried = torch.frexp((few / torch.tensor(steps)[:, None]).flatten())[0]
    reached = tried[:, None] * torch.tensor(steps)
    off = (in_few_bits(reached, FEATURES) / reached).log().square().sum(1)
    return tried[off.argmin()]


def _set_step(quantiser: Any, step: float) -> None:
    """Let levels of features be so far apart; zero stays on the level that it is on."""
    quantiser.input_low.copy_((quantiser.input_low / step_of(quantiser)).round() * step)
    quantiser.input_range.fill_(step * LEVELS)


def convolutions(core: nn.Module, quantisers: Sequence[Any], lr: Tensor) -> dict[str, tuple[Any, Any]]:
    """The quantisers of what plain convolutions read, if any, and of their weights, by name, in the order they are run.

    Args:
        core: a network with quantisers.
        quantisers: NNCF's.
        lr: (N, 3, H, W) to run it with.
    """
    names = {id(module.weight): name for name, module in core.named_modules() if _is_plain(module)}
    rounded: dict[int, tuple[Any, Tensor, Tensor]] = {}

    def note(quantiser: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        rounded[id(output)] = quantiser, inputs[0], output

    handles = [quantiser.register_forward_hook(note) for quantiser in quantisers]
    with Convolved(core) as convolved:
        core(lr)
    for handle in handles:
        handle.remove()
    found: dict[str, tuple[Any, Any]] = {}
    for features, weight in convolved.operands:
        quantiser, own, _ = rounded.get(id(weight), (None, weight, weight))
        if quantiser and id(own) in names:
            found[names[id(own)]] = rounded.get(id(features), (None,))[0], quantiser
    return found


def _is_plain(module: nn.Module) -> bool:
    known = type(module) is nn.Conv2d and module.groups == 1 and module.padding_mode == "zeros"
    return known and not isinstance(module.padding, str)


class Convolved(TorchFunctionMode):
    """Keeps the features and weights that a module convolves, which quantisers may have rounded since it was called."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.operands: list[tuple[Tensor, Tensor]] = []
        self._inside = False
        self._handles = [
            module.register_forward_pre_hook(lambda *_: self._enter(inside=True)),
            module.register_forward_hook(lambda *_: self._enter(inside=False)),
        ]

    def _enter(self, *, inside: bool) -> None:
        self._inside = inside

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See `torch.overrides.TorchFunctionMode`."""
        if self._inside and function is F.conv2d:
            self.operands.append(args[:2])
        return function(*args, **(kwargs or {}))

    def __exit__(self, *details: Any) -> None:
        super().__exit__(*details)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()
