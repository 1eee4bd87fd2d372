"""The processes that train together: one, or those that ``torchrun`` or SLURM has started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy

__all__ = ["Processes"]


@dataclass(frozen=True)
class Processes:
    """How many there are, and which this one is."""

    rank: int = 0
    world: int = 1
    nodes: int = 1

    @classmethod
    def started(cls) -> Processes:
        """Those that the environment tells of."""
        if TorchElasticEnvironment.detect():
            world = int(os.environ["WORLD_SIZE"])
            nodes = world // int(os.environ["LOCAL_WORLD_SIZE"])
            return cls(int(os.environ["RANK"]), world, nodes)
        if SLURMEnvironment.detect():
            return cls(
                int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"]), int(os.environ["SLURM_NNODES"])
            )
        return cls()

    @property
    def share(self) -> tuple[int, int]:
        """The number of this one, from 0, and how many there are."""
        return self.rank, self.world

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and validates."""
        return self.rank == 0

    def fabric(self, accelerator: str, precision: Any) -> Fabric:
        """What places tensors, computes in a precision and averages gradients over the processes."""
        computes: dict[str, Any] = {"precision": precision}
        if precision in ("bf16-mixed", "16-mixed"):
            cuda = accelerator != "cpu" and torch.cuda.is_available()
            computes = {"plugins": [_ExactInput(precision, "cuda" if cuda else "cpu")]}
        if self.world == 1:
            return Fabric(accelerator=accelerator, devices=1, **computes)
        # The statistics of batch norm are each process's own; those of the first are kept.
        fabric = Fabric(
            accelerator=accelerator,
            devices=self.world // self.nodes,
            num_nodes=self.nodes,
            strategy=DDPStrategy(broadcast_buffers=False),
            **computes,
        )
        fabric.launch()
        return fabric


class _ExactInput(MixedPrecision):  # type: ignore[misc]
    """Rounds to 16 bits what goes into convolutions, but not, as Lightning's own, the picture that networks add to."""

    def convert_input(self, data: Any) -> Any:
        """As it is."""
        return data
