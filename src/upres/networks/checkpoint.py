"""Checkpoints: a network's weights, with its name and arguments in the metadata."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor, nn

from upres.networks import Network, NetworkSpec
from upres.networks.blocks import convolution
from upres.networks.reparameterised import KernelBases, ReparameterisedConvolution

__all__ = ["facts_of", "fingerprint", "fit", "fitted", "load_checkpoint", "save_checkpoint"]

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def save_checkpoint(
    path: Path, spec: NetworkSpec, network: nn.Module, *, facts: Mapping[str, str] | None = None
) -> None:
    """Write a ``.safetensors`` file atomically, from which alone `load_checkpoint` rebuilds the network.

    Args:
        path: the file.
        spec: what built the network; what has changed in it since shows in the weights: see `fit`.
        network: whose weights are written.
        facts: what else the metadata say, such as how it was trained; ``network`` and ``arguments`` are taken.
    """
    state = _state(network)
    part = path.with_name(f"{path.name}.part")
    rebuilding = {"network": spec.name, "arguments": json.dumps(spec.arguments)}
    save_file(state, part, metadata={**(facts or {}), **rebuilding})
    part.replace(path)


def fingerprint(network: nn.Module) -> str:
    """Twelve digits that tell a network's weights from others."""
    return sha256(save(_state(network))).hexdigest()[:12]


def facts_of(path: Path) -> dict[str, str]:
    """What a checkpoint's metadata say, such as ``recipe`` and how it was ``trained``; of other files nothing."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}


def load_checkpoint(path: Path) -> tuple[NetworkSpec, Network]:
    """Rebuild a network with its weights, in evaluation mode on the CPU.

    Raises:
        ValueError: if the file is no checkpoint of upres or its weights do not fit.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: not a readable checkpoint ({error})") from None
    if "network" not in metadata:
        raise ValueError(f"{path}: its metadata names no network, so it is not a checkpoint of upres")
    spec = NetworkSpec(metadata["network"], json.loads(metadata.get("arguments", "{}")))
    network = spec.build()
    try:
        return spec, fitted(network, state)
    except ValueError as error:
        raise ValueError(f"{path}: the weights do not fit {spec}: {error}") from None


def fitted(network: Network, state: Mapping[str, Tensor]) -> Network:
    """The network with the structure and the weights of a state, in evaluation mode.

    Raises:
        ValueError: as `fit`.
    """
    fit(network, state)
    network.load_state_dict(state)
    return network.eval()


def fit(network: Network, state: Mapping[str, Tensor]) -> None:
    """Give a network the structure that the names and shapes of a state's tensors show; values stay to be loaded.

    What may differ is what compression changes: numbers of channels, which convolutions and dense layers have biases,
    how many bases a kernel is a sum of, and whether a re-parameterised convolution is merged into a plain one.

    Args:
        network: is changed in place; what it says of itself (scale, halo, alignment) stays.
        state: of a network that was built alike.

    Raises:
        ValueError: if a tensor is missing, superfluous or of another shape beyond that, or if the numbers of channels
            do not fit together; the text names the tensors.
    """
    tensors = _by_module(state)
    for path, module in list(network.named_modules()):
        if isinstance(module, ReparameterisedConvolution) and _is_plain(path, state):
            sizes = (module.in_channels, module.out_channels, module.kernel_size[0])
            plain = convolution(*sizes, groups=module.groups, bias=module.bias is not None).to(module.weight)
            module = plain.train(module.training)
            network.set_submodule(path, module)
        if type(module) is nn.Conv2d and state.get(f"{path}.weight", module.weight).ndim == 5:
            network.set_submodule(path, KernelBases.from_plain(module).train(module.training))
    changed = [_resize(module, tensors.get(path, {})) for path, module in network.named_modules()]
    own = network.state_dict()
    differences = [
        *(f"{name} is missing" for name in own.keys() - state.keys()),
        *(f"{name} is superfluous" for name in state.keys() - own.keys()),
        *(
            f"{name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}"
            for name in own.keys() & state.keys()
            if own[name].shape != state[name].shape
        ),
    ]
    if differences:
        more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise ValueError("; ".join(sorted(differences)[:3]) + more)
    if any(changed):
        _try(network)


def _state(network: nn.Module) -> dict[str, Tensor]:
    # Quantisers before a concatenation are one under several names, which a file does not take.
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }


def _by_module(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The tensors of every module itself, by its path and then by their names in it."""
    tensors: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        path, _, kind = name.rpartition(".")
        tensors.setdefault(path, {})[kind] = tensor
    return tensors


def _is_plain(path: str, state: Mapping[str, Tensor]) -> bool:
    """Whether no more is there of a convolution than a plain one has, or one whose kernel is a sum of bases."""
    kinds = {name[len(path) + 1 :]: tensor.ndim for name, tensor in state.items() if name.startswith(f"{path}.")}
    return kinds.get("weight") in (4, 5) and kinds.keys() <= {"weight", "bias"}


def _resize(module: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    """Give a module's own tensors the shapes of these, where only numbers of channels differ; whether any did."""
    if isinstance(module, LAYERS) and ("bias" in tensors) != (module.bias is not None):
        bias = nn.Parameter(module.weight.new_zeros(tensors["bias"].shape)) if "bias" in tensors else None
        module.register_parameter("bias", bias)
    changed = False
    for kind, own in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        found = tensors.get(kind, own)
        sides = slice(-2 if isinstance(module, LAYERS) and own.ndim >= 4 else own.ndim, None)  # of kernels, which stay
        if found.shape != own.shape and found.ndim == own.ndim and found.shape[sides] == own.shape[sides]:
            changed = True
            resized = own.new_zeros(found.shape)
            if isinstance(own, nn.Parameter):
                resized = nn.Parameter(resized, own.requires_grad)
            setattr(module, kind, resized)
    if changed:
        _count_channels(module)
    return changed


def _count_channels(module: nn.Module) -> None:
    """Bring the numbers that a module keeps beside its weight up to date."""
    match module:
        case nn.Conv2d() | nn.ConvTranspose2d():
            transposed = isinstance(module, nn.ConvTranspose2d)
            first, second = module.weight.shape[-4:-2]  # outputs, inputs of a group; or the other way around
            if 1 < module.groups == module.in_channels:  # depthwise, which it stays
                module.groups = first * module.groups // (module.in_channels if transposed else module.out_channels)
            second *= module.groups
            module.in_channels, module.out_channels = (first, second) if transposed else (second, first)
        case nn.Linear():
            module.out_features, module.in_features = module.weight.shape
        case nn.BatchNorm2d():
            module.num_features = len(module.weight)
        case nn.PReLU():
            module.num_parameters = len(module.weight)


def _try(network: Network) -> None:
    """Run a network, of which only shapes flow."""
    shapes = copy.deepcopy(network).eval().to("meta")
    lr = torch.empty(1, 3, network.minimum, network.minimum, device="meta", dtype=next(shapes.parameters()).dtype)
    expected = (1, 3, network.scale * network.minimum, network.scale * network.minimum)
    try:
        made = tuple(shapes(lr).shape)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ValueError(f"numbers of channels do not fit together ({error})") from None
    if made != expected:
        raise ValueError(f"numbers of channels make {made} of {tuple(lr.shape)}, not {expected}")
