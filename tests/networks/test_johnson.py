import pytest
import torch
from torch import nn
from torch.nn import functional as F

from upres.compression.reparameterise import merge
from upres.networks.johnson import Johnson, JohnsonStyleTransfer


@pytest.mark.parametrize(("scale", "side"), [(4, 72), (8, 36)])
def test_288_pixels_are_made_of_the_papers_inputs(scale: int, side: int) -> None:
    with torch.inference_mode():
        sr = Johnson(scale, channels=4)(torch.rand(1, 3, side, side))
    assert sr.shape == (1, 3, 288, 288)
    assert sr.min() >= 0
    assert sr.max() <= 1


def test_style_transfer_has_the_layers_of_the_supplement() -> None:
    network = JohnsonStyleTransfer().eval()
    shapes: list[tuple[int, ...]] = []
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:])))
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 256, 256)).shape == (1, 3, 256, 256)
    blocks = [(128, side, side) for side in range(82, 62, -2)]  # from 84, two less a convolution
    ends = [(32, 336, 336), (64, 168, 168), (128, 84, 84)], [(64, 128, 128), (32, 256, 256), (3, 256, 256)]
    assert shapes == [*ends[0], *blocks, *ends[1]]


@pytest.mark.parametrize("size", [(1, 1), (7, 45), (64, 30)])
def test_style_transfer_keeps_any_size_and_every_weight_learns(size: tuple[int, int]) -> None:
    network = JohnsonStyleTransfer(channels=4)
    made = network(torch.rand(1, 3, *size))
    assert made.shape == (1, 3, *size)
    made.square().mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def test_the_halo_of_style_transfer_is_how_far_influence_reaches() -> None:
    torch.manual_seed(0)
    network = JohnsonStyleTransfer(channels=2).eval()
    picture = torch.rand(1, 3, 128, 44, requires_grad=True)
    reach = 0
    for pixel in range(64, 68):
        (gradient,) = torch.autograd.grad(network(picture)[0, :, pixel].sum(), picture)
        rows = torch.nonzero(gradient.abs().sum(dim=(0, 1, 3))).flatten()
        reach = max(reach, pixel - int(rows.min()), int(rows.max()) - pixel)
    assert reach == network.halo


def test_style_transfer_reflects_the_picture_at_its_borders() -> None:
    network = JohnsonStyleTransfer(channels=2).eval()
    picture = torch.rand(1, 3, 48, 52)
    wide = F.pad(picture, (40, 40, 40, 40), mode="reflect")
    torch.testing.assert_close(network(picture), network.tail(network.blocks(network.head(wide))), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("network", [Johnson(4, channels=4), JohnsonStyleTransfer(channels=4)])
def test_batch_norm_merges(network: Johnson | JohnsonStyleTransfer) -> None:
    network(torch.rand(2, 3, 44, 44))
    merged = merge(network)
    lr = torch.rand(1, 3, 44, 44)
    torch.testing.assert_close(merged(lr), network.eval()(lr), atol=1e-5, rtol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in merged.modules())


def test_a_scale_that_halves_cannot_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="power of two"):
        Johnson(3)
