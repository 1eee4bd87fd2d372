import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from upres.compression.reparameterise import merge
from upres.evaluation.quality import mean_psnr
from upres.networks import Network, load
from upres.networks.base import upscale_rgb8
from upres.networks.bicubicpp import STEPS, BicubicPlusPlus
from upres.networks.reparameterised import LAYERS


def published(shared: Path) -> Network:
    return load(shared / "reference/weights/bicubicpp_x3_official.safetensors")[1]


def test_the_authors_weights_reach_the_golden_psnr(shared: Path) -> None:
    golden = json.loads((shared / "reference/golden/psnr_ssim_set5.json").read_text())["results"]
    network = published(shared)
    reached = mean_psnr(lambda lr: upscale_rgb8(network, lr), shared / "data/Set5", 3)
    found = [entry for name, entry in golden.items() if "bicubicpp" in name]
    assert found
    assert reached == pytest.approx(found[0]["mean"]["psnr_y"], abs=0.005)
    set14 = mean_psnr(lambda lr: upscale_rgb8(network, lr), shared / "data/Set14", 3)
    assert set14 == pytest.approx(28.86, abs=0.005)


def test_parameters_and_shape_are_the_papers() -> None:
    network = BicubicPlusPlus()
    assert sum(weight.numel() for weight in network.parameters()) == 50_400
    assert [tuple(weight.shape) for weight in network.parameters()] == [
        (32, 3, 3, 3),
        (32, 32, 3, 3),
        (32, 32, 3, 3),
        (108, 32, 3, 3),
    ]


@pytest.mark.parametrize("downscale", STEPS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_anchor_is_the_nearest_neighbour(scale: int, downscale: str) -> None:
    network = BicubicPlusPlus(scale, downscale=downscale, anchor=True)  # type: ignore[arg-type]
    torch.nn.init.zeros_(network.tail.weight)
    lr = torch.rand(2, 3, 7, 10)
    assert torch.equal(network(lr), F.interpolate(lr, scale_factor=scale, mode="nearest"))


def test_an_unknown_downscale_is_refused() -> None:
    with pytest.raises(ValueError, match="stride, space-to-depth, haar, none"):
        BicubicPlusPlus(downscale="pooling")  # type: ignore[arg-type]


def test_space_to_depth_and_haar_keep_the_whole_picture() -> None:
    lr = torch.rand(2, 3, 6, 8)

    def transformed(downscale: str, picture: torch.Tensor) -> torch.Tensor:
        basis = BicubicPlusPlus(downscale=downscale).basis  # type: ignore[arg-type]
        assert basis is not None
        return F.conv2d(picture, basis, stride=2, groups=3)

    assert torch.equal(transformed("space-to-depth", lr), F.pixel_unshuffle(lr, 2))
    bands = transformed("haar", lr)
    torch.testing.assert_close(bands.square().sum(), lr.square().sum())  # orthonormal
    torch.testing.assert_close(bands[:, ::4], 2 * F.avg_pool2d(lr, 2))  # the low band of each colour
    columns = torch.tensor([0.0, 1.0]).repeat(4).expand(1, 3, 6, 8)
    varying = transformed("haar", columns).abs().amax(dim=(0, 2, 3)).reshape(3, 4)
    assert torch.equal(varying.bool(), torch.tensor([[True, True, False, False]]).expand(3, 4))


def test_parameters_of_the_ablations() -> None:
    def parameters(**arguments: Any) -> int:
        return sum(weight.numel() for weight in BicubicPlusPlus(**arguments).parameters())

    assert parameters(downscale="space-to-depth") == parameters(downscale="haar") == 50_400 + 9 * 32 * 9
    assert parameters(bias=True) == 50_400 + 3 * 32 + 108
    assert parameters(blocks=2, convolutions=1) == 50_400
    assert parameters(blocks=0) == 50_400 - 2 * 32 * 32 * 9
    assert parameters(channels=16) == 27 * 16 + 2 * 16 * 16 * 9 + 108 * 16 * 9


def test_a_slope_of_zero_is_a_relu() -> None:
    network = BicubicPlusPlus(2, slope=0.0, blocks=0, downscale="none")
    torch.nn.init.constant_(network.head.weight, -1.0)
    assert not network(torch.rand(1, 3, 5, 5)).any()


@pytest.mark.parametrize("layer", LAYERS)
def test_however_its_blocks_train_the_same_network_runs(layer: Any) -> None:
    torch.manual_seed(0)
    network = BicubicPlusPlus(2, channels=4, bias=True, anchor=True, layer=layer)
    network(torch.rand(2, 3, 8, 8))  # moves the statistics of batch norm
    lr = torch.rand(1, 3, 6, 8)
    expected = network.eval()(lr)
    plain = BicubicPlusPlus(2, channels=4, bias=True, anchor=True)
    plain.load_state_dict(merge(network).state_dict())
    torch.testing.assert_close(plain(lr), expected, atol=1e-5, rtol=1e-5)


def test_layers_are_checked() -> None:
    with pytest.raises(ValueError, match="edge, repvgg, asymmetric, plain"):
        BicubicPlusPlus(layer="dense")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="set bias = true"):
        BicubicPlusPlus(layer="edge")
