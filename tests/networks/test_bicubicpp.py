import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from upres.evaluation.quality import mean_psnr
from upres.networks.base import upscale_rgb8
from upres.networks.bicubicpp import BicubicPlusPlus, rename_published


def published(shared: Path) -> BicubicPlusPlus:
    network = BicubicPlusPlus()
    network.load_state_dict(rename_published(load_file(shared / "reference/weights/bicubicpp_x3_official.safetensors")))
    return network.eval()


@pytest.mark.parametrize("case", ["noise", "natural", "odd"])
def test_the_authors_weights_give_the_authors_output(shared: Path, case: str) -> None:
    pairs = np.load(shared / "reference/io/bicubicpp_x3.npz")
    with torch.inference_mode():
        made = published(shared)(torch.from_numpy(pairs[f"input_{case}"])).numpy()
    rows, columns = made.shape[2:]  # the authors leave the padding of odd sides in the output
    np.testing.assert_allclose(made, pairs[f"output_{case}"][..., :rows, :columns], atol=1e-5)


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


@pytest.mark.parametrize("downscale", ["stride", "none"])
def test_the_halo_is_how_far_influence_reaches(downscale: str) -> None:
    torch.manual_seed(0)
    network = BicubicPlusPlus(2, channels=4, blocks=2, convolutions=1, downscale=downscale)  # type: ignore[arg-type]
    assert network.halo is not None
    lr = torch.rand(1, 3, 41, 41, requires_grad=True)
    reach = 0
    for pixel in (20, 21):  # an even and an odd place differ under a stride
        (gradient,) = torch.autograd.grad(network(lr)[0, :, 2 * pixel : 2 * pixel + 2, 40].sum(), lr)
        rows = torch.nonzero(gradient.abs().sum(dim=(0, 1, 3))).flatten()
        reach = max(reach, pixel - int(rows.min()), int(rows.max()) - pixel)
    assert reach == network.halo


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 8), (9, 9)])
def test_any_size_and_a_gradient_to_every_weight(size: tuple[int, int]) -> None:
    network = BicubicPlusPlus(3, anchor=True)
    sr = network(torch.rand(1, 3, *size))
    assert sr.shape == (1, 3, 3 * size[0], 3 * size[1])
    sr.square().mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def test_an_unknown_downscale_is_refused() -> None:
    with pytest.raises(ValueError, match="stride, none"):
        BicubicPlusPlus(downscale="haar")  # type: ignore[arg-type]
