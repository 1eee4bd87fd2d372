"""What became of a network since its constructor: in files beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from upres.compression.quantise import INNER, Quantised, quantiser_config, rebuild
from upres.compression.reparameterise import merge
from upres.networks import Network, NetworkSpec
from upres.networks import load as load_released
from upres.networks.checkpoint import facts_of, fit

__all__ = ["load", "restructured", "structure"]

QUANTISER = "quantiser"


def structure(network: Network) -> dict[str, str]:
    """What the names and shapes of the tensors do not tell."""
    return {QUANTISER: quantiser_config(network)} if isinstance(network, Quantised) else {}


def restructured(network: Network, state: Mapping[str, Tensor], structure: Mapping[str, str]) -> Network:
    """A network with the structure of one whose tensors and `structure` are given, but not its weights.

    Args:
        network: as its constructor made it; is changed, and given back unless it becomes a quantised one.
        state: see `upres.networks.checkpoint.fit`.
        structure: of other facts, nothing is taken.

    Raises:
        ValueError: if they do not fit together.
        MissingExtra: if the network is quantised and NNCF is not installed.
    """
    if QUANTISER not in structure:
        fit(network, state)
        return network
    network = merge(network).train(network.training)
    fit(network, {name.removeprefix(INNER): value for name, value in state.items() if name.startswith(INNER)})
    return rebuild(network, structure[QUANTISER])


def load(path: Path, scale: int | None = None) -> tuple[NetworkSpec, Network]:
    """Read a network with its weights as `upres.networks.load` does, and checkpoints of quantised networks too.

    Raises:
        ValueError: as `upres.networks.load`.
        MissingExtra: if the network is quantised and NNCF is not installed.
    """
    facts = facts_of(path)
    if QUANTISER not in facts:
        return load_released(path, scale)
    spec = NetworkSpec(facts["network"], json.loads(facts["arguments"]))
    state = load_file(path)
    network = spec.build()
    if scale not in (None, network.scale):
        raise ValueError(f"{path}: is of scale {network.scale}, not {scale}")
    try:
        network = restructured(network, state, facts)
        network.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: the weights do not fit {spec}: {error}") from None
    return spec, network.eval()
