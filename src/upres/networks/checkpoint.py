"""Checkpoints: a network's weights, with its name and arguments in the metadata."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from upres.networks import Network, NetworkSpec

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(path: Path, spec: NetworkSpec, network: nn.Module) -> None:
    """Write a ``.safetensors`` file atomically, from which alone `load_checkpoint` rebuilds the network."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    part = path.with_suffix(".part")
    save_file(state, part, metadata={"network": spec.name, "arguments": json.dumps(spec.arguments)})
    part.replace(path)


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
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: the weights do not fit {spec}: {error}") from None
    return spec, network.eval()
