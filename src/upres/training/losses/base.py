"""What a loss may look at, and the weighted sum of a stage's losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Batch", "Compared", "Loss", "Watch", "need_modules"]


@dataclass(frozen=True)
class Batch:
    """A step's patches, NCHW float32 in [0, 1]."""

    lr: Tensor
    sr: Tensor
    hr: Tensor
    watched: dict[str, Tensor] = field(default_factory=dict)
    """What the network's modules gave that the losses watch."""


class Loss(nn.Module):
    """A `Batch` in, a scalar out. The keyword-only arguments of a subclass are its keys in a recipe."""

    watched: tuple[str, ...] = ()
    """Names of the network's modules whose outputs the loss needs."""
    one_scale = False
    """Whether it is made for the scale of the network, and not for those of stages that draw one for every step."""

    def prepare(self, network: nn.Module, side: int) -> None:  # noqa: ARG002
        """Before a stage: read what is needed from files, and see whether the network and the patches fit.

        Args:
            network: the one that is trained.
            side: height and width of the HR patches.

        Raises:
            ValueError: if something does not fit or cannot be read; the text says what to do.
        """
        need_modules(network, self.watched, "the network")

    def forward(self, batch: Batch) -> Tensor:
        """The loss."""
        raise NotImplementedError


class Compared(Loss):
    """A loss that is a function of SR and HR alone."""

    def __init__(self, function: Callable[..., Tensor], **options: Any) -> None:
        super().__init__()
        self.function = partial(function, **options)

    def prepare(self, network: nn.Module, side: int) -> None:
        """See `Loss.prepare`: the function itself says whether patches are too small."""
        super().prepare(network, side)
        black = torch.zeros(2, 3, side, side)
        shape = tuple(self.function(black, black).shape)
        if shape:
            raise ValueError(f"a loss is one number for a batch, not {shape}")

    def forward(self, batch: Batch) -> Tensor:
        """See `Loss.forward`."""
        return self.function(batch.sr, batch.hr)


class Watch:
    """Keeps what named modules of a network gave in its latest forward pass, as float32, until it is closed."""

    def __init__(self, network: nn.Module, names: Iterable[str]) -> None:
        modules = dict(network.named_modules())
        self.outputs: dict[str, Tensor] = {}
        self.handles = [modules[name].register_forward_hook(partial(self._keep, name)) for name in names]

    def _keep(self, name: str, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self.outputs[name] = output.float()

    def close(self) -> None:
        """Stop watching."""
        for handle in self.handles:
            handle.remove()


def need_modules(network: nn.Module, names: Iterable[str], who: str) -> None:
    """See that a network has modules.

    Raises:
        ValueError: naming one that it lacks, and some that it has.
    """
    known = [name for name, _ in network.named_modules() if name]
    for name in names:
        if name not in known:
            more = f" and {len(known) - 20} more" if len(known) > 20 else ""
            raise ValueError(f"{who} has no module {name}; it has {', '.join(known[:20])}{more}")
