"""Which integers a convolution's weights become, so that its output is changed least."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.compression.lattice import LEVELS, WEIGHTS, Convolved, convolutions, in_few_bits, step_of, unit_of
from upres.runtime.saturation import PAIR, added_in_pairs, largest_sum

__all__ = ["fit_integers"]

PLACES = 2**17
"""LR pixels that are looked at, many times more than a kernel has weights."""

EVEN = {0.0: 2, 1.0: 4}
"""How often patches count that are looked at beside, black and white: most of a page or a screen is, and shall stay."""

RANGES = torch.tensor([4 / 3, 1, 3 / 4, 9 / 16]).double()
"""Shares of the range that holds all weights; of the numbers of few bits there, the best is taken for each output."""

DAMPING = 1e-6
"""Of the mean square of a layer's inputs: how much is added where inputs never were, or always depended on others."""


@torch.no_grad()
def fit_integers(quantised: nn.Module, exact: nn.Module, quantisers: Sequence[Any], batches: Sequence[Tensor]) -> None:
    """Give plain convolutions those integers as weights, and biases, that make their output nearest to the exact one.

    Rounding every weight to the nearest integer is not it: what one weight is off, others can make up for. Layer by
    layer, the least squares that map the rounded features to the exact output are found, and then rounded weight by
    weight, the error of each spread over those that are still free (Frantar and Alistarh, Optimal Brain Compression,
    arXiv:2208.11580, section 4; Frantar et al., GPTQ, arXiv:2210.17323, section 3). Two weights that processors without
    VNNI add up in 16 bits never come to more than these hold: see `upres.runtime.saturation`. Scales have few bits, and
    biases are half a multiple off: see `upres.compression.lattice`. Convolutions with groups, transposed ones and dense
    layers keep the weights that they have. It runs the network for every layer anew, which takes seconds for shallow
    ones and minutes for deep ones.

    Args:
        quantised: the network with its quantisers, in evaluation mode; its weights and their scales are changed.
        exact: the same without; of the same names.
        quantisers: NNCF's, symmetric for weights.
        batches: (N, 3, H, W) of LR in [0, 1].
    """
    patches = [patch for batch in batches for patch in batch[:, None]]  # (1, 3, H, W)
    patches = patches[:: math.ceil(sum(patch[0, 0].numel() for patch in patches) / PLACES)]
    counted = [(patch, 1) for patch in patches]
    counted += [(torch.full_like(patches[0], level), times) for level, times in EVEN.items()]
    found = convolutions(quantised, quantisers, patches[0])
    last = next(reversed(found), None)  # which draws the pixels
    for name, (reader, quantiser) in found.items():
        convolution: Any = quantised.get_submodule(name)
        own: Any = exact.get_submodule(name)
        gram, wanted = _normal_equations(quantised, convolution, exact, own, counted)
        begin = own.weight.flatten(1)
        weights = begin.shape[1]
        if own.bias is not None:
            begin = torch.cat([begin, own.bias[:, None]], 1)
        damping = DAMPING * gram.diagonal().mean().clamp(min=DAMPING)
        gram.diagonal().add_(damping)
        free = torch.linalg.solve(gram, wanted + damping * begin, left=False)
        pairs = torch.from_numpy(added_in_pairs(own.in_channels, math.prod(own.kernel_size)))
        read = step_of(reader) if reader else None
        unit = (unit_of(read) if read else 1) * (unit_of(LEVELS) if name == last else 1)
        fitted, step = _fitted(free, gram, weights, pairs, quantiser.level_low, quantiser.level_high, unit)
        quantiser.scale.copy_((step * quantiser.level_high).view_as(quantiser.scale))
        convolution.weight.copy_(fitted[:, :weights].view_as(convolution.weight))
        if own.bias is not None:
            bias = fitted[:, weights]
            if read:
                apart = step[:, 0] * read
                bias = ((bias / apart).floor() + 0.5) * apart
            convolution.bias.copy_(bias)


def _fitted(
    free: Tensor, gram: Tensor, weights: int, pairs: Tensor, low: int, high: int, unit: float
) -> tuple[Tensor, Tensor]:
    """The best of `_rounded` over some steps, for each output, and its step (outputs, 1), of few bits times a unit."""
    in_pairs = torch.from_numpy(largest_sum(free.numpy(), pairs.numpy()))
    all_held = torch.maximum(in_pairs / PAIR, free[:, :weights].abs().amax(1) / high).clamp(min=1e-12)
    steps = in_few_bits(RANGES[:, None] * all_held * unit, WEIGHTS).flatten()[:, None] / unit
    wanted = free.repeat(len(RANGES), 1)
    tried = _rounded(wanted, gram, weights, steps, pairs, low, high)
    off = tried - wanted
    lost = ((off @ gram) * off).sum(1).view(len(RANGES), -1)
    best = lost.argmin(0) * len(free) + torch.arange(len(free))
    return tried[best], steps[best]


def _rounded(free: Tensor, gram: Tensor, weights: int, step: Tensor, pairs: Tensor, low: int, high: int) -> Tensor:
    """Multiples of the step for the first so many columns, those that see most first; the others make up for them.

    Args:
        free: the least squares, (outputs, columns).
        gram: of the inputs, (columns, columns).
        weights: columns to be rounded.
        step: (outputs, 1).
        pairs: (N, 2), columns of which multiples of one sign come to `PAIR` at most.
        low: the least multiple.
        high: the largest one.
    """
    order = torch.cat([gram.diagonal()[:weights].argsort(descending=True), torch.arange(weights, len(gram))])
    place = order.argsort()
    left = free[:, order].clone()
    # U, upper triangular, with U'U the inverse of the gram: its flipped one's lower factor, inverted and flipped back.
    lower = torch.linalg.cholesky(gram[order][:, order].flip((0, 1)))
    factor = torch.linalg.solve_triangular(lower, torch.eye(len(lower)).to(lower), upper=False).flip((0, 1))
    least, most = (torch.full_like(left, limit) for limit in (low, high))
    followers: dict[int, list[int]] = {}
    for first, second in place[pairs].sort(1).values.tolist():
        followers.setdefault(first, []).append(second)
    for column in range(weights):
        multiples = (left[:, column] / step[:, 0]).round().clamp(least[:, column], most[:, column])
        for follower in followers.get(column, []):
            least[:, follower] = torch.maximum(least[:, follower], -PAIR - multiples.clamp(max=0))
            most[:, follower] = torch.minimum(most[:, follower], PAIR - multiples.clamp(min=0))
        kept = multiples[:, None] * step
        error = (left[:, column : column + 1] - kept) / factor[column, column]
        left[:, column + 1 :] -= error * factor[column, column + 1 :]
        left[:, column : column + 1] = kept
    return left[:, place]


def _normal_equations(
    quantised: nn.Module,
    convolution: nn.Module,
    exact: nn.Module,
    own: nn.Module,
    patches: Sequence[tuple[Tensor, int]],
) -> tuple[Tensor, Tensor]:
    """Products of the rounded columns that a kernel sees with themselves, and of the exact output with them.

    Patches count as often as the number beside them says.
    """
    gram = wanted = torch.zeros((), dtype=torch.float64)
    for lr, times in patches:
        with Convolved(convolution) as convolved:
            quantised(lr)
        outputs: list[Tensor] = []
        handle = own.register_forward_hook(lambda _module, _inputs, output, kept=outputs: kept.append(output))
        exact(lr)
        handle.remove()
        for (features, _), output in zip(convolved.operands, outputs, strict=True):
            columns = _columns(features, own).double()
            gram = gram + times * (columns @ columns.T)
            wanted = wanted + times * (output.transpose(0, 1).flatten(1).double() @ columns.T)
    return gram, wanted


def _columns(features: Tensor, convolution: Any) -> Tensor:
    """What the kernel sees at every place, (inputs of a kernel, places); and a row of 1 if there is a bias."""
    columns = F.unfold(
        features, convolution.kernel_size, convolution.dilation, convolution.padding, convolution.stride
    )  # (N, inputs of a kernel, places)
    columns = columns.transpose(0, 1).flatten(1)
    return columns if convolution.bias is None else F.pad(columns, (0, 0, 0, 1), value=1.0)
