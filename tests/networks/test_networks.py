"""What holds for every network of the table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from upres.compression.export import export
from upres.networks import NETWORKS, Network, NetworkSpec
from upres.networks.blocks import Interpolation
from upres.networks.checkpoint import load_checkpoint, save_checkpoint
from upres.networks.count import count
from upres.runtime import Upscaler

# Every class, small: what is tested is how it is built, and in the sizes of the papers that takes long.
SMALL: dict[str, dict[str, Any]] = {
    "bicubicpp": {"channels": 8},
    "bsrn": {"channels": 16, "blocks": 1},
    "carn": {"channels": 8, "scales": [2, 3, 4]},
    "classsr": {"base": "fsrcnn", "channels": [4, 8, 12]},
    "ecbsr": {"channels": 4, "blocks": 2},
    "efdn": {"channels": 8},
    "espcn": {"channels": [8, 8]},
    "falsr": {
        "cells": ["invertBotConE2_f8_k3_b2_isskip", "groupConG2_f8_k1_b2_isskip", "conv_f8_k3_b3_isskip"],
        "connections": [[0], [0, 1], [0, 2], [1, 3]],
    },
    "fimdn": {"channels": 8, "blocks": 1},
    "fsrcnn": {"channels": 8, "shrunk": 4, "mapping": 2},
    "fsrcnn_classsr": {"channels": 8, "shrunk": 4, "mapping": 2},
    "imdn": {"channels": 16, "blocks": 1},
    "innopeak": {"channels": 8, "blocks": 1, "recursions": 2},
    "johnson": {"channels": 4, "blocks": 1},
    "johnson_style": {"channels": 2, "blocks": 1},
    "latticenet": {"channels": 16, "inner": 8, "blocks": 2},
    "maffsrn": {"channels": 8, "groups": 1},
    "msrresnet": {"channels": 8, "blocks": 1},
    "notfound404": {"channels": 8, "blocks": 2},
    "pan": {"channels": 8, "blocks": 1, "upsampling_channels": 4},
    "rfdn": {"channels": 8, "blocks": 1, "attention_channels": 4},
    "rlfn": {"channels": 8, "blocks": 1, "attention_channels": 4},
    "samsung_tor_aic": {"channels": 8, "blocks": 1},
    "span": {"channels": 8},
    "srcnn": {"channels": [8, 8]},
    "srresnet": {"channels": 8, "blocks": 1},
    "uestc_medialab": {"channels": 8, "blocks": 1},
    "vdsr": {"channels": 8, "depth": 4},
    "zhang9678": {"channels": 8, "blocks": 1},
    "zjuesr": {"channels": 8, "blocks": 2, "expansion": 3},
}
# And what their arguments choose between, beside sizes.
CHOICES: list[tuple[str, dict[str, Any]]] = [
    ("bicubicpp", {"downscale": "none", "anchor": True, "blocks": 2}),
    ("bicubicpp", {"downscale": "haar", "bias": True}),
    ("bicubicpp", {"downscale": "space-to-depth", "slope": 0.0, "convolutions": 1}),
    ("bsrn", {"challenge": True}),
    ("carn", {"mobile": True, "groups": 4, "batch_norm": True, "learnt_shift": True}),
    ("classsr", {"base": "carn"}),
    ("classsr", {"base": "srresnet"}),
    ("ecbsr", {"layer": "asymmetric"}),
    ("ecbsr", {"layer": "repvgg"}),
    ("espcn", {"activation": "relu", "bounded": True}),
    ("fsrcnn", {"upsampling": "subpixel"}),
    ("imdn", {"attention": False, "concatenation": False, "end_kernel": 1}),
    ("vdsr", {"bias": True}),
]
CASES = [*SMALL.items(), *((name, SMALL[name] | chosen) for name, chosen in CHOICES)]
SCALES = {  # where not 2, 3, 4 and 8
    "carn": (2, 3, 4),
    "classsr": (3, 4, 8),
    "falsr": (2, 4),
    "fsrcnn_classsr": (3, 4, 8),
    "johnson": (2, 4, 8),
    "johnson_style": (1,),
}

every_case = pytest.mark.parametrize(("name", "arguments"), CASES, ids=[f"{name}-{len(a)}" for name, a in CASES])


def make(name: str, arguments: dict[str, Any]) -> Network:
    torch.manual_seed(0)
    return NetworkSpec(name, arguments).build()


def test_every_class_is_tested() -> None:
    classes = {name for name, build in NETWORKS.items() if isinstance(build, type)}
    assert classes == set(SMALL)


@every_case
def test_any_size_gives_the_scaled_size(name: str, arguments: dict[str, Any]) -> None:
    for scale in SCALES.get(name, (2, 3, 4, 8)):
        network = make(name, {**arguments, "scale": scale} if scale > 1 else arguments).eval()
        for height, width in [(1, 1), (2, 3), (17, 19)]:
            with torch.inference_mode():
                sr = network(torch.rand(1, 3, height, width))
            assert sr.shape == (1, 3, scale * height, scale * width)
            assert sr.isfinite().all()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_built_by_its_name(name: str) -> None:
    network = NetworkSpec(name).build().eval()
    with torch.inference_mode():
        sr = network(torch.rand(1, 3, 7, 5))
    assert sr.shape == (1, 3, 7 * network.scale, 5 * network.scale)
    assert sr.isfinite().all()


@every_case
def test_every_parameter_gets_a_finite_gradient(name: str, arguments: dict[str, Any]) -> None:
    network = make(name, arguments).train()
    network(torch.rand(2, 3, 16, 15)).square().mean().backward()
    for parameter, weight in network.named_parameters():
        idle = parameter.startswith("upsamplers.") and f"upsamplers.{network.scale}." not in parameter
        assert (name == "carn" and idle) or (weight.grad is not None and weight.grad.isfinite().all()), parameter


@pytest.mark.parametrize("name", ["bsrn", "imdn"])
def test_a_flat_picture_has_no_contrast_but_a_finite_gradient(name: str) -> None:
    network = make(name, SMALL[name])
    network(torch.zeros(1, 3, 1, 1)).sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


@every_case
def test_the_halo_is_how_far_influence_reaches(name: str, arguments: dict[str, Any]) -> None:
    network = make(name, arguments).double().eval()
    if network.halo is None:
        # Their attention, or what they choose, depends on all of the picture.
        assert name in (
            "bsrn",
            "classsr",
            "efdn",
            "imdn",
            "latticenet",
            "maffsrn",
            "rfdn",
            "rlfn",
            "samsung_tor_aic",
        )
        return
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):  # averages: nothing cancels, no ReLU is shut
            layer.weight.data.abs_().div_(layer.weight.data.abs().mean() * layer.weight[0].numel())
            if layer.bias is not None:
                layer.bias.data.zero_()
    r, middle = network.scale, network.halo + 3
    lr = (1 - 0.01 * torch.rand(1, 3, 2 * middle + 2, 7, dtype=torch.float64)).requires_grad_()
    reach = 0
    for pixel in (middle, middle + 1):  # an even and an odd place differ under a stride
        (gradient,) = torch.autograd.grad(network(lr)[:, :, r * pixel : r * pixel + r].sum(), lr)
        rows = torch.nonzero(gradient.abs().sum(dim=(0, 1, 3))).flatten()
        reach = max(reach, pixel - int(rows.min()), int(rows.max()) - pixel)
    assert reach == network.halo


@every_case
def test_the_model_makes_what_the_network_makes_whole_and_in_tiles(
    tmp_path: Path, photograph: NDArray[np.uint8], name: str, arguments: dict[str, Any]
) -> None:
    spec = NetworkSpec(name, arguments)
    made = make(name, arguments)
    saved = made.state_dict()
    save_checkpoint(tmp_path / "a.safetensors", spec, made)
    found, network = load_checkpoint(tmp_path / "a.safetensors")
    assert found == spec
    assert all(torch.equal(tensor, saved[key]) for key, tensor in network.state_dict().items())
    if network.scale == 1:  # the upscaler takes nothing but resizing for pictures that are as large as they should be
        return
    export(tmp_path / "a.safetensors", tmp_path / "a.onnx")
    tile = 2 * (network.halo or 0) + 6
    upscaler = Upscaler(tmp_path / "a.onnx", scale=network.scale, precision="f32", tile=tile, threads=1)
    for height, width in [(6, 5), (tile + 3, tile + 8)]:  # whole, and in two rows of three tiles if the halo is finite
        picture = np.ascontiguousarray(photograph[60 : 60 + height, 60 : 60 + width]).astype(np.float32) / 255
        with torch.inference_mode():
            sr = network(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(upscaler(picture), sr, atol=1e-4)


@pytest.mark.parametrize(("scale", "mode"), [(2, "bilinear"), (3, "bilinear"), (4, "bilinear"), (3, "bicubic")])
def test_interpolation_is_what_it_is_called(scale: int, mode: Any) -> None:
    lr = torch.rand(2, 3, 6, 5)
    made = Interpolation(scale, mode)(lr)
    if mode == "bilinear":
        torch.testing.assert_close(made, nn.functional.interpolate(lr, scale_factor=scale, mode=mode))
    else:  # torch has a = -0.75; what distinguishes -0.5 is that parabolas are upscaled exactly
        places = (torch.arange(36) + 0.5) / scale - 0.5
        parabola = (torch.arange(12.0) - 4).square().expand(1, 1, 12, 12)
        expected = (places - 4).square()
        torch.testing.assert_close(Interpolation(scale, mode, 1)(parabola)[0, 0, 5, 9:-9], expected[9:-9])


def golden(shared: Path, name: str) -> Any:
    return json.loads((shared / f"reference/golden/{name}.json").read_text())


# CARN's authors shift the mean by two 1x1 convolutions, which are not learnt, here no convolutions, and not counted.
# ClassSR's branches learn them.
PIXELS = 256**2
MEAN_SHIFTS = 2 * (3 * 3 + 3)
DIFFERENCES = {"carn_m_x4": (-MEAN_SHIFTS, -9 * (1 + 16) * PIXELS, -3 * (1 + 16) * PIXELS, -2)}


@pytest.mark.parametrize(
    ("entry", "name", "arguments"),
    [
        ("bicubicpp_x3", "bicubicpp", {}),
        ("carn_m_x4", "carn_m", {}),
        ("efdn_x4", "efdn", {}),
        ("imdn_baseline_x4", "imdn_baseline", {}),
        ("imdn_rtc_x2", "imdn_rtc", {}),
        ("imdn_x2", "imdn", {"scale": 2}),
        ("imdn_x3", "imdn", {"scale": 3}),
        ("imdn_x4", "imdn", {}),
        ("msrresnet_x4", "msrresnet", {}),
        ("pan_x2", "pan", {"scale": 2}),
        ("pan_x3", "pan", {"scale": 3}),
        ("pan_x4", "pan", {}),
        ("rfdn_x4", "rfdn", {}),
        ("rlfn_x4", "rlfn_ntire2022", {}),
    ],
)
def test_costs_are_those_of_the_challenges_counter(
    shared: Path, entry: str, name: str, arguments: dict[str, Any]
) -> None:
    costs = golden(shared, "costs_256")["networks"][entry]
    counts = count(NetworkSpec(name, arguments).build())
    expected = [costs[key] for key in ("parameters", "flops", "activations", "conv_layers")]
    found = [counts.parameters, counts.multiply_adds, counts.activations, counts.convolutions]
    assert found == [a + b for a, b in zip(expected, DIFFERENCES.get(entry, (0, 0, 0, 0)), strict=True)]


def test_bsrn_costs_what_its_report_says(shared: Path) -> None:
    # The challenge's counter overlooks dense layers on pictures, which the entry's 1x1 convolutions are.
    costs = golden(shared, "costs_256")["networks"]["bsrn_x4"]
    rows = golden(shared, "published")["ntire2022_efficient_sr"]["rows"]
    report = next(row for row in rows if row["team"].startswith("XPixel"))
    counts = count(NetworkSpec("bsrn_ntire2022").build())
    assert counts.parameters == costs["parameters"]
    assert counts.multiply_adds == pytest.approx(1e9 * report["flops_G"], rel=0.01)


@pytest.mark.parametrize("letter", "abc")
def test_falsr_costs_what_its_graphs_do(shared: Path, letter: str) -> None:
    costs = golden(shared, "costs_256")["falsr"][f"falsr_{letter}_x2"]
    counts = count(NetworkSpec(f"falsr_{letter}").build(), 360, 640)
    rectified = counts.multiply_adds - costs["macs_for_1280x720_output"]  # by ReLU that are modules
    assert 0 <= rectified < counts.activations
    assert counts.parameters == {"a": 1_021_401, "b": 324_745, "c": 426_569}[letter]


@pytest.mark.parametrize(
    ("family", "name", "channels"),
    [
        ("FSRCNN", "fsrcnn_classsr", (16, 36, 56)),
        ("CARN", "carn_classsr", (36, 52, 64)),
        ("SRResNet", "msrresnet", (36, 52, 64)),
    ],
)
def test_the_branches_of_classsr_cost_what_they_do(
    shared: Path, family: str, name: str, channels: tuple[int, ...]
) -> None:
    for width, branch in zip(
        channels, golden(shared, "classsr_structure")["networks"][family]["branches"], strict=True
    ):
        counts = count(NetworkSpec(name, {"channels": width}).build(), 32, 32)
        assert counts.parameters == branch["parameters"]
        assert counts.multiply_adds == branch["macs_32x32"]


@pytest.mark.parametrize(
    ("name", "arguments", "weights"),
    [
        ("srcnn", {}, 8_032),
        ("srcnn_955", {}, 57_184),
        ("fsrcnn", {}, 12_464),
        ("fsrcnn_small", {}, 3_937),
        ("vdsr", {}, 664_704),
        ("espcn", {"scale": 3}, 22_624),
    ],
)
def test_weights_are_as_many_as_in_the_papers(name: str, arguments: dict[str, Any], weights: int) -> None:
    network = NetworkSpec(name, arguments).build()
    assert sum(weight.numel() for weight in network.parameters() if weight.ndim == 4) == weights


@pytest.mark.parametrize(
    ("name", "scale", "thousands"),
    [
        ("bsrn", 2, 332),
        ("bsrn", 3, 340),
        ("bsrn", 4, 352),
        ("carn", 2, 1592),
        ("carn_m", 4, 415),  # 412 in the paper
        ("rlfn", 2, 527),
        ("rlfn", 4, 544),  # 543 in the paper
        ("rlfn_s", 4, 470),
        ("span", 2, 481),
        ("span", 4, 498),
        ("span_s", 4, 426),
        ("span_ntire2024", 4, 151),
        ("srresnet", 4, 1547),
    ],
)
def test_parameters_are_as_many_as_published(name: str, scale: int, thousands: int) -> None:
    network = NetworkSpec(name, {"scale": scale}).build()
    assert round(sum(weight.numel() for weight in network.parameters()) / 1000) == thousands


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("carn", "CARN"),
        ("carn_m", "CARN-M"),
        ("falsr_a", "FALSR-A"),
        ("falsr_b", "FALSR-B"),  # that of FALSR-C is of fewer parameters than those released
        ("fsrcnn", "FSRCNN"),
        ("srcnn_955", "SRCNN"),
        ("vdsr", "VDSR"),
    ],
)
def test_multiply_adds_for_a_720p_result_are_as_published(shared: Path, name: str, method: str) -> None:
    row = next(row for row in golden(shared, "published")["falsr_table_x2"]["rows"] if row["method"] == method)
    network = NetworkSpec(name, {} if name.startswith("falsr") else {"scale": 2}).build()
    assert count(network, 360, 640).multiply_adds == pytest.approx(1e9 * row["mult_adds_G"], rel=0.015)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_imdn_costs_as_much_as_published(shared: Path, scale: int) -> None:
    published = golden(shared, "published")["imdn"]
    counts = count(NetworkSpec("imdn", {"scale": scale}).build(), 720 // scale, 1280 // scale)
    assert round(counts.parameters / 1000) == published["params_K"][f"x{scale}"]
    assert counts.multiply_adds == pytest.approx(1e9 * published["mult_adds_G_1280x720"][f"x{scale}"], rel=0.01)


def test_luma_networks_leave_the_colours_of_bicubic() -> None:
    network = make("espcn", {"scale": 2, **SMALL["espcn"]}).eval()
    lr = torch.rand(1, 3, 6, 7)
    with torch.inference_mode():
        sr = network(lr)
        luma: Tensor = network.luma(sr)  # type: ignore[operator]
        torch.testing.assert_close(luma, network.upscale_luma(network.luma(lr)))  # type: ignore[operator]
        change = sr - Interpolation(2, "bicubic")(lr)
    torch.testing.assert_close(change[:, 0], change[:, 1], atol=1e-6, rtol=0)
    torch.testing.assert_close(change[:, 0], change[:, 2], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("carn", {"scale": 5}, "one of scales"),
        ("espcn", {"activation": "gelu"}, "tanh, relu"),
        ("falsr", {"scale": 3}, "must divide 32"),
        ("falsr", {"cells": ["conv_f64"]}, "connections"),
        ("falsr", {"cells": ["conv_f64_k3_b4_isskip"], "connections": [[1], [0]]}, "before them"),
        ("falsr", {"cells": ["conv_f64"], "connections": [[0], [1]]}, "conv_f64_k3_b4_isskip"),
        ("fsrcnn", {"upsampling": "bilinear"}, "deconvolution or subpixel"),
        ("fsrcnn_classsr", {"scale": 2}, "3 or more"),
    ],
)
def test_what_cannot_be_built_is_said(name: str, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        NetworkSpec(name, arguments).build()
