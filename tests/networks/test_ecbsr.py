from typing import Any

import pytest
import torch
from torch import nn

from upres.compression.reparameterise import merge
from upres.networks.count import count
from upres.networks.ecbsr import ECBSR
from upres.networks.reparameterised import LAYERS


@pytest.mark.parametrize("layer", LAYERS)
def test_however_it_trains_the_same_network_runs(layer: Any) -> None:
    torch.manual_seed(0)
    network = ECBSR(2, channels=4, blocks=2, layer=layer)
    network(torch.rand(2, 3, 8, 8))  # moves the statistics of batch norm
    lr = torch.rand(1, 3, 9, 7)
    expected = network.eval()(lr)
    merged = merge(network)
    torch.testing.assert_close(merged(lr), expected, atol=1e-5, rtol=1e-5)
    plain = ECBSR(2, channels=4, blocks=2, layer="plain")
    plain.load_state_dict(merged.state_dict())
    torch.testing.assert_close(plain(lr), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("channels", "blocks", "parameters"), [(8, 4, 3_624), (16, 4, 11_840), (32, 10, 97_776)])
def test_parameters_that_run(channels: int, blocks: int, parameters: int) -> None:
    assert count(merge(ECBSR(4, channels, blocks))).parameters == parameters
    convolutions = 9 * (channels + blocks * channels**2 + 16 * channels)
    biases_and_slopes = (blocks + 1) * 2 * channels + 16
    assert convolutions + biases_and_slopes == parameters


def test_without_its_last_convolution_it_repeats_pixels() -> None:
    network = ECBSR(3, channels=4, blocks=1, layer="plain")
    for parameter in network.tail.parameters():
        nn.init.zeros_(parameter)
    luma = torch.rand(1, 1, 4, 5)
    assert torch.equal(network.upscale_luma(luma), luma.repeat_interleave(3, 2).repeat_interleave(3, 3))


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="edge, repvgg, asymmetric, plain"):
        ECBSR(layer="dense")  # type: ignore[arg-type]
