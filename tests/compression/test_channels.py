from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.networks.test_networks import every_case, make
from upres.compression.channels import ChannelGroup, channel_groups, remove
from upres.networks import Network, NetworkSpec
from upres.networks.checkpoint import load_checkpoint, save_checkpoint
from upres.networks.reparameterised import ReparameterisedConvolution

LAYERS = (nn.Conv2d, nn.ConvTranspose2d)
DRAW = {"tail", "upsampler", "upsamplers", "reconstruction", "near", "far"}
"""The layers that draw pictures, whose channels must stay; and CARN's upsamplers for other scales."""


def shaken(network: Network) -> Network:
    """With no value left that hides a mistake, such as scales that are one and shares that are zero."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.1 * torch.rand_like(tensor))
    return network.eval()


def ignore(network: Network, groups: Sequence[ChannelGroup]) -> None:
    """Have no convolution look at these channels."""
    state = network.state_dict()
    for path, module in network.named_modules():
        inputs = {f"{path}.weight": int(isinstance(module, nn.Conv2d))} if isinstance(module, LAYERS) else {}
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels:
            inputs = {}  # depthwise: its outputs are of the same group
        if isinstance(module, ReparameterisedConvolution):
            letters = {name: module.axes.get(name.partition(".")[0], "") for name in module.state_dict()}
            inputs = {f"{path}.{name}": letter.index("i") for name, letter in letters.items() if "i" in letter}
        for group in groups:
            for (name, axis), channels in group.places:
                if inputs.get(name) == axis:
                    state[name].index_fill_(axis, torch.tensor(channels), 0)


def assert_all_channels_are_in(groups: Sequence[ChannelGroup], network: Network) -> None:
    covered = {(axis, channel) for group in groups for axis, channels in group.places for channel in channels}
    inside = tuple(
        f"{path}." for path, layer in network.named_modules() if isinstance(layer, ReparameterisedConvolution)
    )
    for path, layer in network.named_modules():
        if isinstance(layer, LAYERS) and not path.startswith(inside) and layer.out_channels > 1:
            axis = 1 if isinstance(layer, nn.ConvTranspose2d) else layer.weight.ndim - 4
            stay = path == "class_module.convolutions.8" or DRAW & set(path.split("."))
            assert stay or all(((f"{path}.weight", axis), place) in covered for place in range(layer.out_channels)), (
                path
            )


@every_case
def test_what_nothing_looks_at_can_be_removed_from_any_network(
    tmp_path: Path, name: str, arguments: dict[str, Any]
) -> None:
    network = shaken(make(name, arguments))
    groups = channel_groups(network)
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.groups < layer.in_channels]
    if all(layer.groups == 1 or layer.in_channels // layer.groups > 2 for layer in layers):  # else they cannot lose one
        assert_all_channels_are_in(groups, network)
    groups = list({group.family: group for group in groups}.values())  # one of each
    ignore(network, groups)
    smaller = remove(network, groups)
    lr = torch.rand(2, 3, 7, 6)
    routed = name == "classsr"  # of whose branches all run in training only
    with torch.inference_mode():
        expected, made = network.train(routed)(lr), smaller.train(routed)(lr)
        torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)
        save_checkpoint(tmp_path / "a.safetensors", NetworkSpec(name, arguments), smaller)
        _, loaded = load_checkpoint(tmp_path / "a.safetensors")
        assert torch.equal(loaded(lr), smaller.eval()(lr))


class Branching(Network):
    """Of eight features, one half is read before the other."""

    def __init__(self, half: int | None = None) -> None:
        super().__init__(1, halo=2)
        self.first_half = half
        self.head = nn.Conv2d(3, 8, 1)
        self.inner = nn.Conv2d(8, 6, 1)
        self.tail = nn.Conv2d(6, 3, 1)

    def upscale(self, lr: Tensor) -> Tensor:
        features = self.head(lr)
        half = self.first_half
        first, second = features.chunk(2, dim=1) if half is None else (features[:, :half], features[:, half:])
        return self.tail(self.inner(torch.cat([second, first], dim=1)))  # type: ignore[no-any-return]


def test_halves_stay_halves() -> None:
    halves = [group for group in channel_groups(Branching()) if group.places[0][0][0].startswith("head")]
    assert [dict(group.places)["head.weight", 0] for group in halves] == [(0, 4), (1, 5), (2, 6), (3, 7)]
    assert [dict(group.places)["inner.weight", 1] for group in halves] == [(0, 4), (1, 5), (2, 6), (3, 7)]


def test_channels_stay_where_a_number_in_the_code_says_how_many_there_are() -> None:
    # One of eight would go and four be cut off, of which one is then of the other half.
    groups = channel_groups(Branching(half=4))
    assert len(groups) == 6
    assert {name for group in groups for (name, _), _ in group.places} == {"inner.weight", "inner.bias", "tail.weight"}


def test_a_skip_ties_layers_and_a_pixel_shuffle_sub_pixels() -> None:
    network = NetworkSpec("msrresnet", {"scale": 3, "channels": 4, "blocks": 1}).build()
    groups = [dict(group.places) for group in channel_groups(network)]
    skip = next(places for places in groups if ("head.weight", 0) in places)
    made = [("head.weight", 0), ("head.bias", 0), ("blocks.0.second.weight", 0), ("blocks.0.second.bias", 0)]
    used = [("blocks.0.first.weight", 1), ("upsamplers.0.0.weight", 1)]
    assert skip == dict.fromkeys(made + used, (0,))
    shuffled = next(places for places in groups if ("upsamplers.0.0.weight", 0) in places)
    assert shuffled["upsamplers.0.0.weight", 0] == shuffled["upsamplers.0.0.bias", 0] == tuple(range(9))
    assert shuffled["hr.weight", 1] == (0,)


def test_group_convolutions_lose_a_channel_in_every_group() -> None:
    network = NetworkSpec("carn", {"channels": 12, "groups": 4, "mobile": True, "scales": [4]}).build()
    groups = channel_groups(network)
    trunk = [group for group in groups if ("head.weight", 0) in dict(group.places)]
    assert [dict(group.places)["head.weight", 0] for group in trunk] == [(0, 3, 6, 9), (1, 4, 7, 10), (2, 5, 8, 11)]
    assert trunk[0].channels == 4
    with pytest.raises(ValueError, match="cannot lose"):  # they would become depthwise
        remove(network, trunk[:2])


def test_no_layer_loses_its_last_channel() -> None:
    network = NetworkSpec("espcn", {"channels": [2, 2]}).build()
    groups = [group for group in channel_groups(network) if ("first.weight", 0) in dict(group.places)]
    assert len(groups) == 2
    remove(network, groups[:1])
    with pytest.raises(ValueError, match="cannot lose 2 channels, only 1"):
        remove(network, groups)


def test_removing_leaves_the_network_as_it_is() -> None:
    network = NetworkSpec("espcn", {"channels": [4, 4]}).build().train()
    network.first.weight.requires_grad_(False)  # type: ignore[union-attr]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    smaller = remove(network, channel_groups(network)[:1])
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert smaller.training
    assert [parameter.requires_grad for parameter in smaller.parameters()] == [False] + [True] * 5
