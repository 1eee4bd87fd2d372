import pytest
import torch
from torch import nn

from upres.networks.srgan import Discriminator


def test_the_layers_are_the_papers() -> None:
    network = Discriminator()
    convolutions = [layer for layer in network.convolutions if isinstance(layer, nn.Conv2d)]
    assert [(layer.out_channels, layer.stride[0]) for layer in convolutions] == [
        (64, 1),
        (64, 2),
        (128, 1),
        (128, 2),
        (256, 1),
        (256, 2),
        (512, 1),
        (512, 2),
    ]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in network.convolutions) == 7  # none after the first
    assert [layer.out_features for layer in network.dense if isinstance(layer, nn.Linear)] == [1024, 1]
    assert {layer.negative_slope for layer in network.modules() if isinstance(layer, nn.LeakyReLU)} == {0.2}


def test_probabilities_are_the_sigmoid_of_the_logits_and_every_weight_learns() -> None:
    network = Discriminator(side=32, channels=4, hidden=8)
    pictures = torch.rand(5, 3, 32, 32)
    logits = network.logits(pictures)
    assert logits.shape == (5, 1)
    torch.testing.assert_close(network(pictures), torch.sigmoid(logits))
    nn.functional.binary_cross_entropy_with_logits(logits, torch.ones(5, 1)).backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None and weight.grad.any() for weight in network.parameters())


@pytest.mark.parametrize("side", [0, 8, 100])
def test_a_side_that_cannot_be_halved_is_refused(side: int) -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        Discriminator(side=side)
