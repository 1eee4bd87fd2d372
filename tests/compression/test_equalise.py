from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from upres.compression import quantise as quantisation
from upres.compression.equalise import equalised
from upres.compression.quantise import quantise
from upres.compression.reparameterise import merge
from upres.networks import Network
from upres.networks.bicubicpp import BicubicPlusPlus
from upres.networks.msrresnet import MSRResNet
from upres.networks.pan import PAN
from upres.networks.span import SPAN

make = partial(BicubicPlusPlus, 2, channels=8, blocks=2, bias=True, slope=0.05)


@pytest.fixture
def batches() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, 48, 48, generator=generator) for _ in range(3)]


def shares(network: Network, batches: list[Tensor]) -> Tensor:
    """What share of its layer's reach each channel has where blocks' features are read, in the mean over layers."""
    readers = [network.get_submodule(name) for name in ("blocks.0.0", "blocks.1.0", "tail")]
    reached = []
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs: reached.append(inputs[0].abs().amax((0, 2, 3))))
        for layer in readers
    ]
    with torch.no_grad():
        network(torch.cat(batches))
    for handle in handles:
        handle.remove()
    return torch.stack([each / each.max() for each in reached]).mean(0)


@torch.no_grad()
def uneven(network: BicubicPlusPlus) -> BicubicPlusPlus:
    """The same function, with channels from 1 to 64 times as large as they were."""
    factors = 2 ** torch.linspace(0, 6, 8)
    for layer in (network.head, *(block[1] for block in network.blocks)):  # type: ignore[index]
        layer.weight *= factors[:, None, None, None]
        layer.bias *= factors
    for layer in (*(block[0] for block in network.blocks), network.tail):  # type: ignore[index]
        layer.weight /= factors[:, None, None]
    return network


def test_channels_of_a_skip_reach_equally_far_and_draw_the_same(batches: list[Tensor]) -> None:
    torch.manual_seed(0)
    network = uneven(make())
    before = network(batches[0])
    even = equalised(network, batches)
    assert torch.allclose(even(batches[0]), before, atol=1e-5)
    assert torch.equal(network(batches[0]), before)
    assert shares(network, batches).min() < 0.05
    assert shares(even, batches).min() > 0.4


@torch.no_grad()
def test_int8_loses_little_of_uneven_channels(batches: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = uneven(make())

    def lost() -> float:
        return float((quantise(network, batches).eval()(batches[0]) - network(batches[0])).square().mean())

    even = lost()
    monkeypatch.setattr(quantisation, "equalised", lambda network, _: network)
    assert even < lost() / 4


@pytest.mark.parametrize("build", [partial(MSRResNet, 2, 8, 2), partial(SPAN, 2, 8), partial(PAN, 2, 8, 8, 2)])
@torch.no_grad()
def test_what_else_lies_between_changes_nothing(build: Callable[[], Network], batches: list[Tensor]) -> None:
    torch.manual_seed(0)
    network = merge(build())
    assert torch.allclose(equalised(network, batches[1:])(batches[0]), network(batches[0]), atol=1e-5)
