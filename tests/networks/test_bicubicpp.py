import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from upres.evaluation.quality import mean_psnr
from upres.networks import Network, load
from upres.networks.base import upscale_rgb8
from upres.networks.bicubicpp import BicubicPlusPlus


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


@pytest.mark.parametrize("downscale", ["stride", "none"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_anchor_is_the_nearest_neighbour(scale: int, downscale: str) -> None:
    network = BicubicPlusPlus(scale, downscale=downscale, anchor=True)  # type: ignore[arg-type]
    torch.nn.init.zeros_(network.tail.weight)
    lr = torch.rand(2, 3, 7, 10)
    assert torch.equal(network(lr), F.interpolate(lr, scale_factor=scale, mode="nearest"))


def test_an_unknown_downscale_is_refused() -> None:
    with pytest.raises(ValueError, match="stride, none"):
        BicubicPlusPlus(downscale="haar")  # type: ignore[arg-type]
