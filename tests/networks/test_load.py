"""Official weights, and files as their authors write them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from tests.networks.test_networks import SMALL, make
from upres.evaluation.quality import mean_psnr
from upres.networks import Network, NetworkSpec, load
from upres.networks.base import upscale_rgb8
from upres.networks.checkpoint import save_checkpoint
from upres.networks.load import LAYOUTS
from upres.networks.luma import LumaNetwork
from upres.networks.published import Published, channels_first

OFFICIAL = [
    ("bicubicpp_x3", "bicubicpp", {"scale": 3, "channels": 32}),
    ("bsrn_x4", "bsrn", {"scale": 4, "channels": 48, "blocks": 5, "challenge": True}),
    ("carn_m_x2", "carn", {"scale": 2, "channels": 64, "mobile": True, "groups": 4}),
    ("carn_m_x3", "carn", {"scale": 3, "channels": 64, "mobile": True, "groups": 4}),
    ("carn_m_x4", "carn", {"scale": 4, "channels": 64, "mobile": True, "groups": 4}),
    ("efdn_x4", "efdn", {"scale": 4, "channels": 48}),
    ("espcn_x2", "espcn", {"scale": 2, "channels": [64, 32], "activation": "relu", "bounded": True}),
    ("espcn_x3", "espcn", {"scale": 3, "channels": [64, 32], "activation": "relu", "bounded": True}),
    ("espcn_x4", "espcn", {"scale": 4, "channels": [64, 32], "activation": "relu", "bounded": True}),
    ("falsr_a_x2", "falsr", {"scale": 2}),
    ("falsr_b_x2", "falsr", {"scale": 2}),
    ("falsr_c_x2", "falsr", {"scale": 2}),
    ("fsrcnn_small_x2", "fsrcnn", {"scale": 2, "channels": 32, "shrunk": 5, "mapping": 1, "upsampling": "subpixel"}),
    ("fsrcnn_small_x3", "fsrcnn", {"scale": 3, "channels": 32, "shrunk": 5, "mapping": 1, "upsampling": "subpixel"}),
    ("fsrcnn_small_x4", "fsrcnn", {"scale": 4, "channels": 32, "shrunk": 5, "mapping": 1, "upsampling": "subpixel"}),
    ("fsrcnn_x2", "fsrcnn", {"scale": 2, "channels": 56, "shrunk": 12, "mapping": 4, "upsampling": "subpixel"}),
    ("fsrcnn_x3", "fsrcnn", {"scale": 3, "channels": 56, "shrunk": 12, "mapping": 4, "upsampling": "subpixel"}),
    ("fsrcnn_x4", "fsrcnn", {"scale": 4, "channels": 56, "shrunk": 12, "mapping": 4, "upsampling": "subpixel"}),
    ("imdn_baseline_x4", "imdn", {"scale": 4, "channels": 64, "blocks": 8, "attention": False}),
    ("imdn_rtc_x2", "imdn", {"scale": 2, "channels": 12, "blocks": 5, "attention": False, "end_kernel": 1}),
    ("imdn_x2", "imdn", {"scale": 2, "channels": 64, "blocks": 6, "attention": True}),
    ("imdn_x3", "imdn", {"scale": 3, "channels": 64, "blocks": 6, "attention": True}),
    ("imdn_x4", "imdn", {"scale": 4, "channels": 64, "blocks": 6, "attention": True}),
    ("pan_x2", "pan", {"scale": 2, "channels": 40, "blocks": 16, "upsampling_channels": 24}),
    ("pan_x3", "pan", {"scale": 3, "channels": 40, "blocks": 16, "upsampling_channels": 24}),
    ("pan_x4", "pan", {"scale": 4, "channels": 40, "blocks": 16, "upsampling_channels": 24}),
    ("rfdn_x4", "rfdn", {"scale": 4, "channels": 50, "blocks": 4, "attention_channels": 12}),
    ("rlfn_x4", "rlfn", {"scale": 4, "channels": 46, "blocks": 4, "middle": 48, "attention_channels": 16}),
    ("span_ch28_x4", "span", {"scale": 4, "channels": 28}),
    ("vdsr", "vdsr", {"channels": 64, "depth": 20, "bias": False}),
]
CASES = ("noise", "natural", "odd")


def official(shared: Path, entry: str) -> tuple[NetworkSpec, Network]:
    weights = json.loads((shared / "reference/io/manifest.json").read_text())["networks"][entry]["weights"]
    scale = int(entry[-1]) if entry.startswith("carn") else None
    return load(shared / "reference/weights" / weights, scale)


@pytest.mark.parametrize(("entry", "name", "arguments"), OFFICIAL, ids=[entry for entry, _, _ in OFFICIAL])
def test_official_weights_give_the_authors_output(
    shared: Path, entry: str, name: str, arguments: dict[str, Any]
) -> None:
    spec, network = official(shared, entry)
    assert spec.name == name
    assert spec.arguments | arguments == spec.arguments
    files = json.loads((shared / "reference/io/manifest.json").read_text())["networks"][entry]
    with np.load(shared / "reference/io" / files["file"]) as file:
        pairs = dict(file)
    peak = 255 if files.get("input_range", "").startswith("RGB float32 in [0, 255]") else 1
    for case in CASES:
        falsr = name == "falsr"
        lr = torch.from_numpy(pairs[f"input_y_{case}" if falsr else f"input_{case}"]) / peak
        expected = pairs[f"output_y_{case}" if falsr else f"output_{case}"] / peak
        with torch.inference_mode():
            if isinstance(network, LumaNetwork):
                channels_last = lr.shape[-1] == 1
                made = network.upscale_luma(lr.permute(0, 3, 1, 2) if channels_last else lr).numpy()
                expected = expected.transpose(0, 3, 1, 2) if expected.shape[-1] == 1 else expected
            else:
                made = network(lr).numpy()  # the authors of Bicubic++ leave the padding of odd sides in the output
                expected = expected[..., : made.shape[2], : made.shape[3]]
        np.testing.assert_allclose(made, expected, atol=1e-5)


def test_the_colours_of_falsr_are_the_authors(shared: Path) -> None:
    with np.load(shared / "reference/io/falsr_b_x2.npz") as pairs:
        luma, rgb = pairs["output_y_natural"], pairs["output_rgb_natural"]
    _, network = official(shared, "falsr_b_x2")
    assert isinstance(network, LumaNetwork)
    unclipped = ((rgb > 0) & (rgb < 1)).all(-1, keepdims=True)
    made = network.luma(torch.from_numpy(rgb).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(made[unclipped], luma[unclipped], atol=1e-4)


@pytest.mark.parametrize(
    ("entry", "scale", "measure"),
    [("espcn_x3", 3, "psnr_y_uint8"), ("fsrcnn_small_x3", 3, "psnr_y_uint8"), ("falsr_b_x2", 2, "psnr_y")],
)
def test_luma_networks_reach_the_golden_psnr_on_rgb(shared: Path, entry: str, scale: int, measure: str) -> None:
    golden = json.loads((shared / "reference/golden/psnr_ssim_set5.json").read_text())["results"][entry]["mean"]
    _, network = official(shared, entry)
    reached = mean_psnr(lambda lr: upscale_rgb8(network, lr), shared / "data/Set5", scale)
    # Golden luma was rounded before it was compared, or came from colours that were truncated.
    assert reached == pytest.approx(golden[measure], abs=0.05)


def as_published(layout: Published, state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Tensors under the authors' names; None if those have no name for one."""
    written = {}
    for name, tensor in state.items():
        for theirs, ours in layout.names.items():
            match = re.fullmatch(re.escape(ours).replace(r"\{\}", r"(\d+)") + r"((?:\.\w+)?)", name) if ours else None
            if match:
                *numbers, kind = match.groups()
                starts = [int(start) for start in re.findall(r"\{([01])\}", theirs)]
                places = [int(number) + start for number, start in zip(numbers or "9", starts, strict=False)]
                written[re.sub(r"\{[01]\}", "{}", theirs).format(*places) + kind] = tensor
                break
        else:
            return None
    return written


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("bicubicpp", {"scale": 2, "channels": 8}),
    ("bsrn", {"scale": 3, "channels": 16, "blocks": 2, "challenge": False}),
    ("bsrn", {"scale": 2, "channels": 8, "blocks": 1, "challenge": True}),
    (
        "carn",
        {
            "scale": 4,
            "channels": 8,
            "mobile": False,
            "groups": 1,
            "scales": [2, 3, 4],
            "batch_norm": False,
            "learnt_shift": False,
        },
    ),
    (
        "carn",
        {
            "scale": 3,
            "channels": 8,
            "mobile": True,
            "groups": 2,
            "scales": [3],
            "batch_norm": True,
            "learnt_shift": True,
        },
    ),
    ("classsr", {"scale": 4, "base": "carn", "channels": [4, 8, 12]}),
    ("classsr", {"scale": 4, "base": "srresnet", "channels": [4, 6, 8]}),
    ("efdn", {"scale": 2, "channels": 16}),
    ("espcn", {"scale": 4, "channels": [8, 4]}),
    ("imdn", {"scale": 3, "channels": 32, "blocks": 3, "attention": True, "concatenation": True, "end_kernel": 3}),
    ("imdn", {"scale": 4, "channels": 8, "blocks": 2, "attention": False, "concatenation": False, "end_kernel": 1}),
    ("latticenet", {"scale": 3, "channels": 16, "inner": 8, "blocks": 3, "reduction": 4}),
    ("msrresnet", {"scale": 2, "channels": 8, "blocks": 3}),
    ("msrresnet", {"scale": 3, "channels": 16, "blocks": 1}),
    ("msrresnet", {"scale": 8, "channels": 16, "blocks": 1}),
    ("pan", {"scale": 4, "channels": 8, "blocks": 2, "upsampling_channels": 6}),
    ("rfdn", {"scale": 2, "channels": 12, "blocks": 6, "attention_channels": 3}),
    ("rlfn", {"scale": 2, "channels": 12, "blocks": 3, "middle": 10, "attention_channels": 5}),
    ("span", {"scale": 3, "channels": 8}),
    ("srcnn", {"scale": 3, "kernels": [9, 3, 5], "channels": [12, 6]}),
    ("vdsr", {"scale": 2, "channels": 8, "depth": 5, "bias": True}),
]


@pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=[f"{name}-x{a['scale']}" for name, a in VARIANTS])
def test_variants_are_recognised_however_they_are_kept(tmp_path: Path, name: str, arguments: dict[str, Any]) -> None:
    network = make(name, arguments).eval()
    layouts = [layout for layout in LAYOUTS if layout.network == name and layout.prepare is not channels_first]
    files = [file for layout in layouts if (file := as_published(layout, network.state_dict()))]
    assert files
    lr = torch.rand(1, 3, 16, 15)
    for state in files:
        parallel = {f"module.{key}": tensor for key, tensor in state.items()}
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, tmp_path / "a.safetensors")
        torch.save(state, tmp_path / "b.pth")
        torch.save({"params_ema": parallel, "params": {}, "epoch": 3}, tmp_path / "c.pth")
        torch.save({"state_dict": {"model": parallel}}, tmp_path / "d.pt")
        for kept in ("a.safetensors", "b.pth", "c.pth", "d.pt"):
            spec, loaded = load(tmp_path / kept, arguments["scale"])
            assert spec == NetworkSpec(name, arguments)
            with torch.inference_mode():
                assert torch.equal(loaded(lr), network(lr))


def test_fsrcnn_as_ported_to_pytorch(tmp_path: Path) -> None:
    spec = NetworkSpec("fsrcnn", {"scale": 2, "channels": 8, "shrunk": 4, "mapping": 3})
    state = spec.build().state_dict()
    parts = ["first_part.0", "mid_part.0", "mid_part.2", "mid_part.4", "mid_part.6", "mid_part.8"]
    slopes = ["first_part.1", "mid_part.1", "mid_part.3", "mid_part.5", "mid_part.7", "mid_part.9"]
    written = {
        f"{part}.{kind}": state[f"convolutions.{i}.{kind}"]
        for i, part in enumerate(parts)
        for kind in ("weight", "bias")
    }
    written |= {f"{part}.weight": state[f"activations.{i}.weight"] for i, part in enumerate(slopes)}
    written |= {f"last_part.{kind}": state[f"upsampler.{kind}"] for kind in ("weight", "bias")}
    torch.save(written, tmp_path / "fsrcnn_x2.pth")
    found, network = load(tmp_path / "fsrcnn_x2.pth")
    assert found == spec
    assert all(torch.equal(tensor, state[key]) for key, tensor in network.state_dict().items())


def test_fsrcnn_as_a_branch_of_classsr(tmp_path: Path) -> None:
    spec = NetworkSpec("fsrcnn_classsr", {"scale": 4, "channels": 16, "shrunk": 12, "mapping": 4})
    state = spec.build().state_dict()
    names = {
        "head_conv.0": "convolutions.0",
        "head_conv.1": "activations.0",
        "body_conv.0.0": "convolutions.1",
        "body_conv.0.1": "activations.1",
        **{f"body_conv.{place}": f"convolutions.{place + 1}" for place in (1, 2, 3, 4)},
        "body_conv.5": "activations.5",
        "body_conv.6.0": "convolutions.6",
        "body_conv.6.1": "activations.6",
        "tail_conv": "upsampler",
    }
    layers = {ours: theirs for theirs, ours in names.items()}
    written = {
        f"{layers[layer]}.{kind}": state[f"{layer}.{kind}"] for layer, _, kind in (key.rpartition(".") for key in state)
    }
    torch.save(written, tmp_path / "a.pth")
    found, network = load(tmp_path / "a.pth")
    assert found == spec
    assert all(torch.equal(tensor, state[key]) for key, tensor in network.state_dict().items())


def test_a_branch_of_classsr_carn_names_its_one_upsampler_without_its_scale(tmp_path: Path) -> None:
    arguments = {
        "scale": 4,
        "channels": 8,
        "mobile": True,
        "groups": 4,
        "scales": [4],
        "batch_norm": True,
        "learnt_shift": True,
    }
    network = make("carn", arguments)
    layout = next(layout for layout in LAYOUTS if layout.network == "carn")
    state = as_published(layout, network.state_dict())
    assert state
    torch.save({key.replace("up4", "up"): tensor for key, tensor in state.items()}, tmp_path / "a.pth")
    assert load(tmp_path / "a.pth")[0] == NetworkSpec("carn", arguments)


def test_the_branches_that_span_is_trained_with_are_merged(tmp_path: Path) -> None:
    network = make("span", {"scale": 2, "channels": 4})
    layout = next(layout for layout in LAYOUTS if layout.network == "span")
    state = as_published(layout, network.state_dict())
    assert state
    shapes = {"sk": (4, 4, 1, 1), "conv.0": (8, 4, 1, 1), "conv.1": (8, 8, 3, 3), "conv.2": (4, 8, 1, 1)}
    branches = {part: (torch.rand(shape) - 0.5, torch.rand(shape[0]) - 0.5) for part, shape in shapes.items()}
    for part, (weight, bias) in branches.items():
        state |= {f"block_2.c1_r.{part}.weight": weight, f"block_2.c1_r.{part}.bias": bias}
    torch.save({"params": state}, tmp_path / "a.pth")
    spec, loaded = load(tmp_path / "a.pth")
    assert spec == NetworkSpec("span", {"scale": 2, "channels": 4})
    features = torch.rand(1, 4, 7, 6)
    expected = F.pad(features, (1, 1, 1, 1))
    for part in ("conv.0", "conv.1", "conv.2"):
        expected = F.conv2d(expected, *branches[part])
    expected = expected + F.conv2d(features, *branches["sk"])
    torch.testing.assert_close(loaded.get_submodule("blocks.1.layers.0")(features), expected)


@pytest.mark.parametrize("weights", ["falsr_b_x2_official", "espcn_x3_fannymonori", "fsrcnn_small_x4_saafke"])
def test_frozen_graphs_are_read(shared: Path, tmp_path: Path, weights: str) -> None:
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.util.tensor_util import make_tensor_proto

    graph = GraphDef()
    graph.node.add(name="input", op="Placeholder")
    for name, tensor in load_file(shared / f"reference/weights/{weights}.safetensors").items():
        graph.node.add(name=name, op="Const").attr["value"].tensor.CopyFrom(make_tensor_proto(tensor.numpy()))
    graph.node.add(name="words", op="Const").attr["value"].tensor.CopyFrom(make_tensor_proto("no number"))
    (tmp_path / "a.pb").write_bytes(graph.SerializeToString())
    spec, network = load(tmp_path / "a.pb")
    expected_spec, expected = load(shared / f"reference/weights/{weights}.safetensors")
    assert spec == expected_spec
    assert all(torch.equal(tensor, expected.state_dict()[key]) for key, tensor in network.state_dict().items())


def test_the_scale_that_weights_do_not_tell(tmp_path: Path) -> None:
    layout = next(layout for layout in LAYOUTS if layout.network == "pan")
    state = as_published(layout, make("pan", {**SMALL["pan"], "scale": 3}).state_dict())
    for file, wanted, scale in [("PANx3_DF2K.pth", None, 3), ("PANx3_DF2K.pth", 2, 2), ("pan.pth", None, 2)]:
        torch.save(state, tmp_path / file)
        assert load(tmp_path / file, wanted)[1].scale == scale
    with pytest.raises(ValueError, match="of scale 2, not 4"):
        load(tmp_path / "pan.pth", 4)


def test_our_checkpoints_are_read(tmp_path: Path) -> None:
    spec = NetworkSpec("fsrcnn", {**SMALL["fsrcnn"], "scale": 2})
    network = spec.build()
    save_checkpoint(tmp_path / "a.safetensors", spec, network)
    found, loaded = load(tmp_path / "a.safetensors")
    assert found == spec
    assert all(torch.equal(tensor, network.state_dict()[key]) for key, tensor in loaded.state_dict().items())
    with pytest.raises(ValueError, match="is of scale 2, not 3"):
        load(tmp_path / "a.safetensors", 3)


class _Code:
    pass


def test_what_is_no_network_known_is_said(tmp_path: Path) -> None:
    layout = next(layout for layout in LAYOUTS if layout.network == "rfdn")
    state = as_published(layout, make("rfdn", SMALL["rfdn"]).state_dict())
    assert state
    torch.save(state | {"extra.weight": torch.zeros(3)}, tmp_path / "more.pth")
    with pytest.raises(ValueError, match=r"Looked for checkpoints of upres .* nearest is rfdn, .* extra.weight"):
        load(tmp_path / "more.pth")
    del state["B1.c5.weight"]
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(ValueError, match=r"nearest is rfdn.*fusion.weight"):
        load(tmp_path / "less.pth")
    for other in (
        {},
        {"x": torch.zeros(3)},
        {"conv1.weight": torch.zeros(3), "conv2.weight": torch.zeros(()), "conv3.weight": torch.zeros(0)},
        {"entry.weight": torch.zeros(0, 3, 3, 3), "upsample.up.body.0.weight": torch.zeros(4, 0, 3, 3)},
        {"fea_conv.weight": torch.zeros(4, 3, 3, 3), "B999999999.c5.weight": torch.zeros(4, 8, 1, 1)},
        {"conv_1.sk.weight": torch.zeros(4, 3, 1, 1)},
        {"body_conv.x.weight": torch.zeros(1)},
        {"f1": torch.zeros(3)},
    ):
        torch.save(other, tmp_path / "other.pth")
        with pytest.raises(ValueError, match="of no network known"):
            load(tmp_path / "other.pth")


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    torch.save({"model": _Code()}, tmp_path / "code.pth")
    with pytest.raises(ValueError, match="tensors alone"):
        load(tmp_path / "code.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds a list"):
        load(tmp_path / "list.pth")
    for name in ("a.pth", "a.safetensors", "a.pb"):
        (tmp_path / name).write_bytes(b"nothing that any program wrote")
        with pytest.raises(ValueError, match=name):
            load(tmp_path / name)
        with pytest.raises(ValueError, match="none"):
            load(tmp_path / f"none{Path(name).suffix}")
