"""One stage of a training while it runs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from upres.compression.quantise import unquantised
from upres.networks import Network
from upres.training.losses import Batch, Criterion, Watch
from upres.training.processes import Processes
from upres.training.recipe import Stage
from upres.training.schedules import Moment, rate
from upres.training.soap import SOAP

__all__ = ["StageRun", "at_scale", "learning_rate", "precision", "trained_part"]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "soap": SOAP,
}
BETA2 = {"adam": 0.999, "adamw": 0.999, "soap": 0.95}


def learning_rate(stage: Stage, step: int) -> float:
    """Linear warm-up from 0, then the stage's schedule."""
    return rate(stage.schedule, Moment(step, stage.steps, stage.warmup, stage.learning_rate))


def trained_part(stage: Stage, network: Network) -> Network:
    """What a stage trains: the network, or a module of it that is a network itself.

    Raises:
        ValueError: if there is no such module, or it does not upscale.
    """
    modules = {**dict(unquantised(network).named_modules()), "": network}
    kinds = {path.rpartition(".")[2] for path, _ in unquantised(network).named_parameters()}
    for name in (stage.module, *stage.frozen, *stage.rates):
        if name not in modules and not (name in stage.rates and name in kinds):
            known = ", ".join(path for path in modules if path)
            raise ValueError(f"module, frozen or rates: the network has no {name}; it has {known[:400]}")
    part = modules[stage.module]
    if not isinstance(part, Network):
        raise ValueError(f"module = {stage.module}: is a {type(part).__name__}, no network that can be trained alone")
    frozen = {parameter for name in stage.frozen for parameter in modules[name].parameters()}
    if frozen.issuperset(part.parameters()):
        raise ValueError("frozen: leaves nothing to train")
    return part


@contextmanager
def at_scale(network: Network, scale: int) -> Iterator[None]:
    """While a network that serves several scales is one for another of them."""
    own, network.scale = network.scale, scale
    try:
        yield
    finally:
        network.scale = own


class StageRun:
    """Network, losses, optimisers and average of one stage, on its device and in its precision."""

    def __init__(
        self, stage: Stage, network: Network, criterion: Criterion, accelerator: str, processes: Processes
    ) -> None:
        self.stage = stage
        self.fabric = processes.fabric(accelerator, precision(stage, accelerator))
        self.whole = network.to(self.fabric.device)
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.averaged: Network = copy.deepcopy(self.whole) if stage.ema else self.whole
        self.part = trained_part(stage, self.whole)
        self.frozen = [unquantised(self.whole).get_submodule(name) for name in stage.frozen]
        self.whole.requires_grad_(True)
        for module in self.frozen:
            module.requires_grad_(False)
        self.network, self.optimizer = self.fabric.setup(self.part, self._optimizer())
        self.watch = Watch(unquantised(self.part), criterion.watched)
        self.criterion = criterion.to(self.fabric.device)
        self.optimizers = {"optimizer": self.optimizer}
        if adversary := criterion.adversary:
            self.raw_discriminator = adversary.discriminator
            learnt = {"params": adversary.discriminator.parameters(), "factor": adversary.rate}
            adversary.discriminator, self.optimizers["discriminator_optimizer"] = self.fabric.setup(
                adversary.discriminator, torch.optim.Adam([learnt])
            )
            adversary.discriminator.mark_forward_method("logits")  # type: ignore[operator]
        self.losses: dict[str, Tensor] = {}

    def _optimizer(self) -> torch.optim.Optimizer:
        """Of what is learnt, grouped by what the learning rate is multiplied by."""
        stage = self.stage
        rates = {
            parameter: factor
            for name, factor in stage.rates.items()
            for path, parameter in unquantised(self.whole).named_parameters()
            if path.startswith(f"{name}.") or path.endswith(f".{name}")
        }
        groups: dict[float, list[Tensor]] = {}
        for parameter in self.part.parameters():
            if parameter.requires_grad:
                groups.setdefault(rates.get(parameter, 1.0), []).append(parameter)
        options: dict[str, Any] = {"lr": stage.learning_rate, "weight_decay": stage.weight_decay}
        if stage.optimizer == "sgd":
            options["momentum"] = stage.momentum
        else:
            options["betas"] = (stage.momentum, stage.beta2 or BETA2[stage.optimizer])
        return OPTIMIZERS[stage.optimizer](
            [{"params": learnt, "factor": factor} for factor, learnt in groups.items()], **options
        )

    def step(self, step: int, lr: Tensor, hr: Tensor) -> Tensor:
        """One step of the optimiser, and of the discriminator's; gives the network's loss."""
        self.part.train()
        for module in self.frozen:
            module.eval()
        rate = learning_rate(self.stage, step)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("factor", 1.0)
            optimizer.zero_grad()
        lr, hr = self.fabric.to_device((lr, hr))
        count = self.stage.accumulate
        self.losses = {}
        batches = []
        for place, (lr_part, hr_part) in enumerate(zip(lr.chunk(count), hr.chunk(count), strict=True)):
            with self.fabric.no_backward_sync(self.network, enabled=place + 1 < count):
                sr = self._upscaled(lr_part, hr_part)
                batch = Batch(lr_part, sr, hr_part, dict(self.watch.outputs))
                losses = {name: loss / count for name, loss in self._criticised(batch).items()}
                self.fabric.backward(torch.stack(list(losses.values())).sum())
            self._note(losses)
            batches.append(batch)
        total = torch.stack(list(self.losses.values())).sum()
        if self.stage.clip_value:
            self.fabric.clip_gradients(self.network, self.optimizer, clip_val=self.stage.clip_value)
        if self.stage.clip_step and rate:
            self.fabric.clip_gradients(self.network, self.optimizer, clip_val=self.stage.clip_step / rate)
        if self.stage.clip_norm:
            # What is not finite is found by the loss and the weights, with a text that says what to do.
            self.fabric.clip_gradients(
                self.network, self.optimizer, max_norm=self.stage.clip_norm, error_if_nonfinite=False
            )
        self.optimizer.step()
        if adversary := self.criterion.adversary:
            for place, batch in enumerate(batches):
                with self.fabric.no_backward_sync(adversary.discriminator, enabled=place + 1 < count):
                    loss = adversary.discriminate(batch) / count
                    self.fabric.backward(loss)
                self._note({"discriminator": loss})
            self.optimizers["discriminator_optimizer"].step()
        if self.stage.ema:
            self._average(step)
        return total

    def _upscaled(self, lr: Tensor, hr: Tensor) -> Tensor:
        """SR of a part of a batch, at the scale that it has."""
        with at_scale(self.part, hr.shape[-1] // lr.shape[-1]):
            return self.network(lr)  # type: ignore[no-any-return]

    def _criticised(self, batch: Batch) -> dict[str, Tensor]:
        if not (adversary := self.criterion.adversary):
            return self.criterion(batch)  # type: ignore[no-any-return]
        with self.fabric.no_backward_sync(adversary.discriminator):  # it learns later
            return self.criterion(batch)  # type: ignore[no-any-return]

    def _note(self, losses: dict[str, Tensor]) -> None:
        for name, loss in losses.items():
            self.losses[name] = self.losses.get(name, 0) + loss.detach()

    @torch.no_grad()
    def _average(self, step: int) -> None:
        # A short memory at first, so that the random start is forgotten.
        decay = min(self.stage.ema, (step + 1) / (step + 10))
        for mean, value in zip(self.averaged.parameters(), self.whole.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for kept, current in zip(self.averaged.buffers(), self.whole.buffers(), strict=True):
            kept.copy_(current)  # such as the statistics of batch norm, which are averages already

    def parts(self) -> dict[str, float]:
        """The losses of the latest step by name, where there are several."""
        return {f"loss.{name}": loss.item() for name, loss in self.losses.items()} if len(self.losses) > 1 else {}

    @property
    def finite(self) -> bool:
        """Whether all weights are numbers."""
        return all(bool(weight.isfinite().all()) for weight in self.whole.parameters())

    def finish(self) -> Network:
        """The network that goes on from here, on the CPU."""
        self.watch.close()
        network: Network = self.averaged.cpu().requires_grad_(True)
        return network

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        state: dict[str, Any] = {
            "network": self.whole.state_dict(),
            "averaged": self.averaged.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            **{name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }
        if self.criterion.adversary:
            state["discriminator"] = self.raw_discriminator.state_dict()
        return state

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.whole.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[name])
        if self.criterion.adversary:
            self.raw_discriminator.load_state_dict(state["discriminator"])


def precision(stage: Stage, accelerator: str) -> Any:
    """What Fabric computes a stage in.

    Raises:
        ValueError: if the device cannot.
    """
    cuda = accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available()
    if stage.precision == "16-mixed" and not cuda:
        raise ValueError("precision = 16-mixed: needs a GPU; use bf16-mixed or 32-true here")
    if stage.precision != "auto":
        return stage.precision
    if cuda:
        native = torch.cuda.is_bf16_supported()
    else:
        native = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bf16-mixed" if native else "32-true"
