import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from upres.compression.prune import Stopwatch, prune
from upres.compression.reparameterise import merge
from upres.networks import Network, NetworkSpec
from upres.networks.bicubicpp import BicubicPlusPlus
from upres.networks.count import count


def shapes(network: Network) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def likeness(network: Network) -> Callable[[Network], float]:
    """A score: how like a network's picture another one's is, in dB."""
    lr = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        hr = network(lr)

    def score(pruned: Network) -> float:
        with torch.inference_mode():
            error: Tensor = (pruned(lr) - hr).square().mean()
            return -10 * math.log10(error.item() + 1e-12)

    return score


def planted(channel: int) -> BicubicPlusPlus:
    """A network with a channel outside of the skip that makes large values of which nothing is used, and one in the
    skip whose weights are as good as nothing."""
    torch.manual_seed(0)
    network = BicubicPlusPlus(scale=2, channels=6)
    state = network.state_dict()
    state["blocks.0.0.weight"][channel] *= 10
    state["blocks.0.1.weight"][:, channel] = 0
    for name, axis in [("head", 0), ("blocks.0.0", 1), ("blocks.0.1", 0), ("tail", 1)]:
        state[f"{name}.weight"].select(axis, channel).mul_(1e-4)
    return network


@pytest.mark.parametrize("by", ["validation", "magnitude"])
def test_bicubicpp_with_34_channels_becomes_that_with_32(by: Any) -> None:
    network = BicubicPlusPlus(channels=34, bias=True)
    pruned = prune(network, score=lambda _: 0.0, by=by, channels=32, candidates=4)
    assert shapes(pruned) == shapes(BicubicPlusPlus(channels=32, bias=True))
    assert shapes(network) == shapes(BicubicPlusPlus(channels=34, bias=True))


def test_what_validation_misses_least_goes_first() -> None:
    network = planted(2)
    pruned = prune(network, score=likeness(network), channels=5)
    assert shapes(pruned) == shapes(BicubicPlusPlus(scale=2, channels=5))
    lr = torch.rand(1, 3, 9, 8)
    torch.testing.assert_close(pruned(lr), network(lr), atol=1e-5, rtol=0)


def test_small_kernels_go_first_by_magnitude() -> None:
    network = planted(4)
    pruned = prune(network, by="magnitude", channels=5)
    kept = [0, 1, 2, 3, 5]
    assert torch.equal(pruned.head.weight, network.head.weight[kept])
    assert torch.equal(pruned.tail.weight, network.tail.weight[:, kept])
    inner = pruned.blocks[0][0].weight  # type: ignore[index]
    assert inner.abs().max() > 5 * network.head.weight.abs().max()  # the large one stays, though nothing uses it


def test_only_layers_that_are_wider_lose_channels() -> None:
    pruned = prune(NetworkSpec("espcn", {"channels": [12, 6]}).build(), by="magnitude", channels=8)
    assert shapes(pruned) == shapes(NetworkSpec("espcn", {"channels": [8, 6]}).build())


@pytest.mark.parametrize("by", ["validation", "magnitude"])
@pytest.mark.parametrize("target", ["parameters", "multiply_adds"])
def test_a_network_gets_as_small_as_asked_and_hardly_smaller(by: Any, target: str) -> None:
    network = NetworkSpec("msrresnet", {"channels": 8, "blocks": 1, "scale": 2}).build()
    limit = round(0.6 * getattr(count(network), target))
    pruned = prune(network, score=likeness(network), by=by, candidates=3, **{target: limit})
    assert 0.85 * limit < getattr(count(pruned), target) <= limit
    assert pruned(torch.rand(1, 3, 5, 4)).shape == (1, 3, 10, 8)


def test_re_parameterised_networks_count_as_they_run() -> None:
    network = NetworkSpec("ecbsr", {"channels": 6, "blocks": 2}).build()
    limit = 1500
    pruned = prune(network, by="magnitude", parameters=limit)
    assert count(network).parameters > 4 * limit
    assert limit - 200 < count(merge(pruned)).parameters <= limit


def test_milliseconds_are_what_is_measured() -> None:
    network = BicubicPlusPlus(channels=16)
    measured = []

    def measure(pruned: Network) -> float:
        measured.append(count(pruned).parameters / 1000)
        return measured[-1]

    pruned = prune(network, by="magnitude", milliseconds=15.0, measure=measure)
    assert 13.5 < count(pruned).parameters / 1000 <= 15.0
    assert count(pruned).parameters / 1000 in measured


def test_a_stopwatch_tells_a_large_network_from_a_small_one() -> None:
    small, large = (NetworkSpec("bicubicpp", {"channels": channels}).build() for channels in (4, 64))
    stopwatch = Stopwatch(small)
    assert stopwatch(large) > stopwatch.milliseconds > 0


def test_a_seed_chooses_the_candidates() -> None:
    network = BicubicPlusPlus(scale=2, channels=6)
    tried: list[list[Tensor]] = []

    def score(pruned: Network) -> float:
        tried.append(list(pruned.state_dict().values()))
        return float(len(tried))

    for seed in (0, 0, 1):
        prune(network, score=score, channels=5, candidates=3, seed=seed)
    assert len(tried) == 3 * (1 + 2 * 3)  # at first, and of every candidate for two removals

    def same(first: int, second: int) -> bool:
        pairs = zip(tried[first : first + 7], tried[second : second + 7], strict=True)
        return all(
            torch.equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True) if a.shape == b.shape
        )

    assert same(0, 7)
    assert not same(0, 14)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "exactly one"),
        ({"channels": 4, "parameters": 100}, "exactly one"),
        ({"channels": 4, "by": "gradient"}, "validation or magnitude, not 'gradient'"),
        ({"channels": 4, "by": "validation"}, "needs a score"),
        ({"channels": 0, "by": "magnitude"}, "channels can be pruned to 1 at the least, not to 0"),
        ({"parameters": 100, "by": "magnitude"}, "parameters can be pruned to 477 at the least, not to 100"),
        ({"multiply_adds": 100, "by": "magnitude"}, "multiply_adds can be pruned to [0-9,]+ at the least"),
        ({"milliseconds": 1.0, "by": "magnitude", "measure": lambda _: 2.5}, "pruned to 2.5 at the least, not to 1.0"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        prune(BicubicPlusPlus(scale=2, channels=6), **arguments)


def test_a_network_without_channels_that_can_go_is_refused() -> None:
    class Shuffled(Network):
        def __init__(self) -> None:
            super().__init__(2, halo=1)
            self.convolution = nn.Conv2d(3, 12, 3, padding=1)

        def upscale(self, lr: Tensor) -> Tensor:
            return pixel_shuffle(self.convolution(lr), 2)

    with pytest.raises(ValueError, match="no channels of this network are known to go without harm"):
        prune(Shuffled(), by="magnitude", channels=4)


def test_a_network_that_is_small_enough_stays_whole() -> None:
    network = BicubicPlusPlus(channels=8)
    for target in ({"channels": 8}, {"parameters": 10**6}):
        pruned = prune(network, by="magnitude", **target)  # type: ignore[arg-type]
        assert all(map(torch.equal, pruned.state_dict().values(), network.state_dict().values()))
        assert pruned is not network
