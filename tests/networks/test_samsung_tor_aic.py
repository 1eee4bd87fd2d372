import torch
from torch import nn

from upres.networks.samsung_tor_aic import MobileNetV3Block, SamsungTORAIC, SqueezeAndExcitation


def test_a_block_expands_looks_around_in_each_channel_squeezes_and_projects() -> None:
    block = MobileNetV3Block(8, expansion=3)
    layers = [layer for layer in block if isinstance(layer, nn.Conv2d)]
    assert [(layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.groups) for layer in layers] == [
        (8, 24, 1, 1),
        (24, 24, 3, 24),
        (24, 8, 1, 1),
    ]
    nn.init.zeros_(layers[-1].weight)
    assert layers[-1].bias is not None
    nn.init.zeros_(layers[-1].bias)
    features = torch.rand(1, 8, 5, 4)
    assert torch.equal(block(features), features)


def test_excitation_weighs_channels_by_the_mean_of_the_picture() -> None:
    torch.manual_seed(0)
    attention = SqueezeAndExcitation(8, reduction=4)
    features = torch.rand(1, 8, 6, 5)
    weights = attention(features) / features
    torch.testing.assert_close(weights, weights[..., :1, :1].expand_as(weights))
    assert weights.min() >= 0
    assert weights.max() <= 1
    shuffled = features.flatten(2)[..., torch.randperm(30)].reshape(features.shape)
    torch.testing.assert_close(attention(shuffled) / shuffled, weights)


def test_all_of_the_picture_matters() -> None:
    assert SamsungTORAIC(blocks=1).halo is None
