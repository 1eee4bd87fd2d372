"""What a stage does to the network before its first step or after its last.

An action takes the network and what it may know of the run, and gives the network that goes on; its keyword-only
arguments are its keys in a recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from upres.compression.export import load_weights
from upres.compression.prune import prune as prune_network
from upres.compression.quantise import quantise as quantise_network
from upres.compression.quantise import unquantised
from upres.compression.reparameterise import merge as merge_network
from upres.networks import Network
from upres.networks.checkpoint import fit
from upres.networks.reparameterised import KernelBases, ReparameterisedConvolution
from upres.training.checked import Count, Factor, Table

__all__ = ["ACTIONS", "Run", "act"]


@dataclass(frozen=True)
class Run:
    """What an action may know beside the network."""

    score: Callable[[nn.Module], float]
    """PSNR on the validation photographs."""
    patches: Callable[[], list[Tensor]]
    """Batches of LR patches, NCHW in [0, 1]."""


def load(network: Network, run: Run, *, checkpoint: str, fitting: bool = False) -> Network:  # noqa: ARG001
    """Go on from weights that are there already.

    Args:
        network: see the module.
        run: see the module.
        checkpoint: a file, or a bundled model's name: see `upres.compression.export.load_weights`.
        fitting: take what has the name and shape of a tensor of the network, and leave all else as it is: a warm
            start from another scale. Otherwise all must fit.

    Raises:
        ValueError: if the file cannot be read, or is of another network, or nothing of it fits.
        ModelError: if it is a model and cannot be read.
    """
    state = unquantised(load_weights(checkpoint, network.scale if not fitting else None)[1]).state_dict()
    if not fitting:
        try:
            fit(network, state)
        except ValueError as error:
            raise ValueError(f"{checkpoint}: {error}; fitting = true takes what fits") from None
        network.load_state_dict(state)
        return network
    own = network.state_dict()
    taken = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    if not taken:
        raise ValueError(f"{checkpoint}: no tensor of it has the name and shape of one of the network")
    network.load_state_dict(own | taken)
    return network


def prune(
    network: Network,
    run: Run,
    *,
    by: Literal["validation", "magnitude"] = "validation",
    channels: Count | None = None,
    parameters: Count | None = None,
    multiply_adds: Count | None = None,
    milliseconds: float | None = None,
    candidates: Count = 100,
) -> Network:
    """Remove channels: see `upres.compression.prune.prune`."""
    return prune_network(
        network,
        score=run.score,
        by=by,
        channels=channels,
        parameters=parameters,
        multiply_adds=multiply_adds,
        milliseconds=milliseconds,
        candidates=candidates,
    )


def remove_biases(network: Network, run: Run) -> Network:  # noqa: ARG001
    """Leave the convolutions without biases, as Bicubic++ does after pruning (arXiv:2305.02126, section 3.3)."""
    _check_merged(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | KernelBases):
            module.bias = None
    return network


def merge(network: Network, run: Run) -> Network:  # noqa: ARG001
    """Fold what only training needs into plain convolutions: see `upres.compression.reparameterise.merge`."""
    return merge_network(network).train()


def add_bases(network: Network, run: Run, *, count: Count = 1) -> Network:  # noqa: ARG001
    """Let kernels train as means of more kernels: see `upres.networks.reparameterised.KernelBases`.

    Plain convolutions, which `merge` may have left, become such means.

    Args:
        network: see the module.
        run: see the module.
        count: kernels more.
    """
    _check_merged(network)
    for name, module in list(network.named_modules()):
        if isinstance(module, KernelBases):
            module.add(count)
        elif (
            type(module) is nn.Conv2d
            and module.stride == (1, 1)
            and module.padding == (module.kernel_size[0] // 2,) * 2
        ):
            bases = KernelBases.from_plain(module)
            bases.add(count)
            network.set_submodule(name, bases)
    return network


def interpolate(network: Network, run: Run, *, checkpoint: str, share: Factor) -> Network:  # noqa: ARG001
    """Take the mean with other weights, which tames what adversarial training overdoes (ESRGAN, arXiv:1809.00219, 3.4).

    Args:
        network: see the module.
        run: see the module.
        checkpoint: of a network of the same structure, such as the one that the stage began with; as for `load`.
        share: of those weights.

    Raises:
        ValueError: if the file cannot be read, or its tensors are not the network's.
        ModelError: if it is a model and cannot be read.
    """
    state = load_weights(checkpoint, network.scale)[1].state_dict()
    own = network.state_dict()
    if {name: tensor.shape for name, tensor in own.items()} != {name: tensor.shape for name, tensor in state.items()}:
        raise ValueError(f"{checkpoint}: its tensors have other names or shapes than the network's")
    mean = {name: tensor.lerp(state[name], share) for name, tensor in own.items() if tensor.is_floating_point()}
    network.load_state_dict(own | mean)
    return network


def quantise(network: Network, run: Run) -> Network:
    """From here on, train as 8-bit integers will compute: see `upres.compression.quantise.quantise`."""
    return quantise_network(network, run.patches())


ACTIONS: dict[str, Callable[..., Network]] = {
    "load": load,
    "prune": prune,
    "remove_biases": remove_biases,
    "merge": merge,
    "add_bases": add_bases,
    "interpolate": interpolate,
    "quantise": quantise,
}


def _check_merged(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, ReparameterisedConvolution) and not isinstance(module, KernelBases):
            raise ValueError("the network has re-parameterised convolutions; merge must come first")


def act(actions: Sequence[Table], network: Network, run: Run) -> Network:
    """Do what a stage lists, in order.

    Raises:
        ValueError: naming the action that does not fit the network.
    """
    for action in actions:
        options: dict[str, Any] = dict(action)
        name = options.pop("name")
        try:
            network = ACTIONS[name](network, run, **options)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return network
