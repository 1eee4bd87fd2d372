from typing import Any

import pytest
import torch

from upres.networks.bicubicpp import BicubicPlusPlus
from upres.networks.falsr import falsr_b
from upres.search.inherit import inherit

LR = torch.rand(1, 3, 12, 10)


def network(**arguments: Any) -> BicubicPlusPlus:
    return BicubicPlusPlus(**{"scale": 2, "channels": 8, "bias": True, "anchor": True, **arguments}).eval()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"channels": 12},
        {"blocks": 3},
        {"layer": "edge"},
        {"layer": "asymmetric", "channels": 10, "blocks": 2},
    ],
)
def test_a_larger_network_begins_as_its_parent(change: Any) -> None:
    torch.manual_seed(0)
    parent = network()
    child = network(**change)
    inherit(child, parent)
    torch.testing.assert_close(child(LR), parent(LR), atol=1e-5, rtol=1e-5)


def test_what_a_network_has_more_can_learn() -> None:
    child = network(channels=12, blocks=2)
    inherit(child, network())
    child(LR).square().mean().backward()
    assert all(
        parameter.grad is not None and parameter.grad.any()
        for parameter in child.get_submodule("blocks.1.1").parameters()
    )
    assert child.head.weight[8:].any()


def test_a_convolution_more_in_a_block_passes_on_what_it_gets() -> None:
    parent, child = network(slope=1.0), network(slope=1.0, convolutions=3)  # no rectifier, so that it is exact
    inherit(child, parent)
    torch.testing.assert_close(child(LR), parent(LR), atol=1e-5, rtol=1e-5)


def test_a_smaller_network_keeps_what_fits() -> None:
    parent, child = network(), network(channels=4)
    inherit(child, parent)
    assert torch.equal(child.get_parameter("blocks.0.0.weight"), parent.get_parameter("blocks.0.0.weight")[:4, :4])
    assert torch.equal(child.tail.weight, parent.tail.weight[:, :4])


def test_pixels_of_blocks_as_channels_begin_as_a_stride() -> None:
    parent, child = network(), network(downscale="space-to-depth")
    inherit(child, parent)
    torch.testing.assert_close(child(LR), parent(LR), atol=1e-5, rtol=1e-5)


def test_another_resolution_takes_nothing() -> None:
    child = network(downscale="none")
    before = [parameter.clone() for parameter in child.parameters()]
    inherit(child, network())
    assert all(torch.equal(*pair) for pair in zip(before, child.parameters(), strict=True))


def test_elastic_networks_inherit_whole() -> None:
    parent, child = falsr_b(), falsr_b()
    inherit(child, parent)
    assert torch.equal(child(LR), parent(LR))
