from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from upres.compression import prune as module
from upres.compression.channels import ChannelGroup, channel_groups, remove
from upres.compression.prune import prune
from upres.networks import Network, NetworkSpec
from upres.networks.checkpoint import load_checkpoint, save_checkpoint
from upres.networks.count import count

SMALL: dict[str, dict[str, Any]] = {
    "bicubicpp": {"channels": 6},
    "carn": {"channels": 4},
    "carn_m": {},
    "classsr": {"base": "fsrcnn", "channels": [4, 6]},
    "ecbsr": {"channels": 4, "blocks": 2},
    "espcn": {},
    "falsr": {},
    "fimdn": {"channels": 16, "blocks": 1},
    "fsrcnn": {},
    "imdn": {"channels": 16, "blocks": 1},
    "latticenet": {"blocks": 1},
    "msrresnet": {"channels": 4, "blocks": 2},
    "pan": {"blocks": 1},
    "rfdn": {"channels": 8, "blocks": 1, "attention_channels": 4},
    "srcnn": {},
    "srresnet": {"channels": 4, "blocks": 1},
    "uestc_medialab": {"channels": 16, "blocks": 1},
    "zjuesr": {"blocks": 1},
}
"""Skips, splits, concatenations, groups, depthwise and transposed convolutions, pixel shuffles, attention, PReLU, batch
norm, kernel bases and parallel branches."""


def built(name: str, **arguments: Any) -> Network:
    torch.manual_seed(0)
    return NetworkSpec(name, arguments).build().eval()


def some_of(network: Network) -> list[ChannelGroup]:
    """One of every family that can spare it, up to eight."""
    groups = channel_groups(network)
    sizes = Counter(group.family for group in groups)
    first = {group.family: group for group in reversed(groups) if sizes[group.family] > 2}
    return [*first.values()][:8]


@torch.no_grad()
def silence(network: Network, groups: list[ChannelGroup]) -> None:
    """Let channels be 0 wherever they are used."""
    state = network.state_dict()
    for group in groups:
        for (name, axis), channels in group.places:
            state[name].index_fill_(axis, torch.tensor(channels), 0)


@pytest.mark.parametrize("name", SMALL)
def test_channels_without_weights_can_go_and_nothing_changes(name: str, tmp_path: Path) -> None:
    network = built(name, **SMALL[name])
    groups = some_of(network)
    assert groups
    silence(network, groups)
    pruned = remove(network, groups)
    lr = torch.rand(1, 3, network.minimum + 1, network.minimum + 2)
    with torch.no_grad():
        expected, made = network(lr), pruned(lr)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5 * max(1, expected.abs().max().item()))
    assert sum(p.numel() for p in pruned.parameters()) < sum(p.numel() for p in network.parameters())

    save_checkpoint(tmp_path / "pruned.safetensors", NetworkSpec(name, SMALL[name]), pruned)
    with torch.no_grad():
        assert torch.equal(load_checkpoint(tmp_path / "pruned.safetensors")[1](lr), made)


def test_most_of_a_network_can_go() -> None:
    network = built("imdn", channels=16, blocks=1)
    smallest = prune(network, score=no_score, by="magnitude", channels=1)
    assert count(smallest).multiply_adds < 0.1 * count(network).multiply_adds
    assert smallest(torch.rand(1, 3, 9, 7)).shape == (1, 3, 36, 28)


def no_score(network: nn.Module) -> float:
    raise AssertionError("magnitude needs no score")


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("by", ["validation", "magnitude"])
def test_bicubicpp_goes_from_34_channels_to_32(by: Any) -> None:
    network = built("bicubicpp", channels=34, bias=True)
    pruned = prune(
        network,
        score=lambda pruned: float(pruned.get_parameter("head.weight").detach().sum()),
        by=by,
        channels=32,
        candidates=3,
    )
    assert shapes(pruned) == shapes(built("bicubicpp", channels=32, bias=True))
    assert shapes(network) == shapes(built("bicubicpp", channels=34, bias=True))


@pytest.mark.parametrize("by", ["validation", "magnitude"])
def test_what_does_nothing_goes_first(by: Any) -> None:
    network = built("bicubicpp", channels=4)
    useless = [channel_groups(network)[place] for place in (2, 5)]
    silence(network, useless)
    lr = torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        whole = network(lr)

        def score(pruned: nn.Module) -> float:
            return -float((pruned(lr) - whole).abs().sum())

        pruned = prune(network, score=score, by=by, channels=3)
        torch.testing.assert_close(pruned(lr), whole)


def test_candidates_are_drawn_by_the_seed() -> None:
    network = built("bicubicpp", channels=8)
    tried: list[list[float]] = []

    def score(pruned: nn.Module) -> float:
        tried[-1].append(float(pruned.get_parameter("head.weight").detach().sum()))
        return tried[-1][-1]

    for seed in (0, 0, 1):
        tried.append([])
        prune(network, score=score, channels=6, candidates=3, seed=seed)
    assert [len(values) for values in tried] == [3 * 4] * 3  # twice two layers' channels go
    assert tried[0] == tried[1] != tried[2]


@pytest.mark.parametrize("by", ["validation", "magnitude"])
@pytest.mark.parametrize(("target", "share"), [("parameters", 0.8), ("multiply_adds", 0.8)])
def test_a_target_is_met_and_not_by_far(by: Any, target: str, share: float) -> None:
    network = built("bicubicpp", channels=8)

    def cost(network: nn.Module) -> int:
        return sum(p.numel() for p in network.parameters()) if target == "parameters" else count(network).multiply_adds

    wanted = int(share * cost(network))
    options: dict[str, Any] = {target: wanted}
    pruned = prune(network, score=lambda _: 0.0, by=by, candidates=1, **options)
    assert 0.7 * wanted < cost(pruned) <= wanted


def test_milliseconds_are_those_of_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    network = built("bicubicpp", channels=8)
    assert module._milliseconds(network) > 0
    monkeypatch.setattr(module, "_milliseconds", lambda network: network.head.weight.shape[0])
    pruned = prune(network, score=no_score, by="magnitude", milliseconds=5)
    assert len(pruned.head.weight) == 5  # type: ignore[union-attr, arg-type]


def test_wrong_and_unreachable_targets_are_said() -> None:
    network = built("bicubicpp", channels=4)
    with pytest.raises(ValueError, match="give one target"):
        prune(network, score=no_score)
    with pytest.raises(ValueError, match="give one target"):
        prune(network, score=no_score, channels=3, parameters=100)
    with pytest.raises(
        ValueError, match="parameters = 10: cannot be reached; without all that can be removed there are"
    ):
        prune(network, score=no_score, by="magnitude", parameters=10)
