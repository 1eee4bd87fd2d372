"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., ICLR 2025, arXiv:2409.11321).

Networks of some ten thousand parameters are cheap to precondition and slow to train
otherwise: docs/weights.md has what it gained over Adam at equal steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["SOAP"]


class SOAP(Optimizer):
    """Every weight is seen as a matrix: its outputs by everything else.

    Args:
        params: what to optimise.
        lr: learning rate.
        betas: decay of the first moment, and of the second moment and the preconditioner.
        eps: added to the root of the second moment.
        weight_decay: decoupled, as in AdamW.
        frequency: steps between two updates of the eigenbasis.
        largest: a side of a matrix longer than this is not preconditioned.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        frequency: int = 10,
        largest: int = 2048,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)
        self.frequency = frequency
        self.largest = largest

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """One step; the first only measures the gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(parameter, group)

    def _step(self, parameter: Tensor, group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        gradient = parameter.grad.reshape(len(parameter), -1).float()  # type: ignore[union-attr]
        state = self.state[parameter]
        if not state:
            state.update(step=0, mean=torch.zeros_like(gradient), square=torch.zeros_like(gradient))
            for side, covariance in self._covariances(gradient).items():
                state[f"covariance_{side}"] = covariance
                state[f"basis_{side}"] = torch.linalg.eigh(covariance)[1].flip(1)
            return

        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - beta1)
        state["square"].lerp_(_rotate(gradient, state).square(), 1 - beta2)
        mean = _rotate(state["mean"], state) / (1 - beta1 ** state["step"])
        square = state["square"] / (1 - beta2 ** state["step"])
        update = _rotate_back(mean / (square.sqrt() + group["eps"]), state)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update.reshape(parameter.shape).to(parameter.dtype), alpha=-group["lr"])

        for side, covariance in self._covariances(gradient).items():
            state[f"covariance_{side}"].lerp_(covariance, 1 - beta2)
            if state["step"] % self.frequency == 0:
                _refresh(state, side)

    def _covariances(self, gradient: Tensor) -> dict[str, Tensor]:
        sides = {"left": gradient, "right": gradient.T}
        return {name: side @ side.T for name, side in sides.items() if len(side) <= self.largest}


def _rotate(matrix: Tensor, state: dict[str, Any]) -> Tensor:
    if "basis_left" in state:
        matrix = state["basis_left"].T @ matrix
    return matrix @ state["basis_right"] if "basis_right" in state else matrix


def _rotate_back(matrix: Tensor, state: dict[str, Any]) -> Tensor:
    if "basis_left" in state:
        matrix = state["basis_left"] @ matrix
    return matrix @ state["basis_right"].T if "basis_right" in state else matrix


def _refresh(state: dict[str, Any], side: str) -> None:
    """One step of power iteration, the directions sorted by size (paper, algorithm 4)."""
    covariance, basis = state[f"covariance_{side}"], state[f"basis_{side}"]
    turned = covariance @ basis
    order = (basis * turned).sum(0).argsort(descending=True)
    state[f"basis_{side}"] = torch.linalg.qr(turned[:, order])[0]
    state["square"] = state["square"][order] if side == "left" else state["square"][:, order]
