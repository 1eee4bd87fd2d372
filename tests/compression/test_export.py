from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from tests.networks.test_classsr import small
from upres.cli.main import app
from upres.compression.export import export, load_weights
from upres.compression.reparameterise import merge
from upres.networks import NetworkSpec, load
from upres.networks.base import upscale_rgb8
from upres.networks.bicubicpp import STEPS
from upres.networks.checkpoint import save_checkpoint
from upres.networks.count import count
from upres.runtime import Upscaler, load_model


def test_the_model_carries_its_card(tmp_path: Path) -> None:
    spec = NetworkSpec("bicubicpp", {"scale": 4, "anchor": True, "downscale": "none", "channels": 8})
    save_checkpoint(tmp_path / "a.safetensors", spec, spec.build())
    card = export(tmp_path / "a.safetensors", tmp_path / "mine_x4.onnx", data="photographs", quality={"Set5": 30.5})
    assert load_model(tmp_path / "mine_x4.onnx").card == card
    assert (card.name, card.scale, card.halo, card.alignment) == ("mine_x4", 4, 4, 1)
    assert (card.network, card.arguments, card.data, card.quality) == (
        "bicubicpp",
        spec.arguments,
        "photographs",
        {"Set5": 30.5},
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "mine_x4.onnx"]


def test_a_folder_that_is_not_there_is_named_to_people(tmp_path: Path) -> None:
    spec = NetworkSpec("bicubicpp", {"channels": 8})
    save_checkpoint(tmp_path / "a.safetensors", spec, spec.build())
    result = CliRunner().invoke(app, ["export", str(tmp_path / "a.safetensors"), str(tmp_path / "none" / "a.onnx")])
    assert result.exit_code == 2
    assert "none: there is no such folder" in result.output


@pytest.mark.parametrize("downscale", STEPS)
def test_the_graph_is_plain(tmp_path: Path, downscale: str) -> None:
    spec = NetworkSpec("bicubicpp", {"anchor": True, "downscale": downscale})
    save_checkpoint(tmp_path / "a.safetensors", spec, spec.build())
    export(tmp_path / "a.safetensors", tmp_path / "a.onnx")
    kinds = {node.op_type for node in onnx.load(tmp_path / "a.onnx").graph.node}
    assert kinds <= {"Conv", "LeakyRelu", "Add", "DepthToSpace", "Constant"}


def test_what_only_training_needs_is_not_exported(tmp_path: Path) -> None:
    spec = NetworkSpec("fimdn", {"channels": 8, "blocks": 1})
    network = spec.build()
    save_checkpoint(tmp_path / "a.safetensors", spec, network)
    card = export(tmp_path / "a.safetensors", tmp_path / "a.onnx")
    assert card.parameters == count(merge(network)).parameters < count(network).parameters
    weights = onnx.load(tmp_path / "a.onnx").graph.initializer
    assert {tuple(weight.dims[2:]) for weight in weights if len(weight.dims) == 4} == {(1, 1), (3, 3)}


# Of their real size, each kind of operation that the literature brings.
RELEASED = [
    ("bsrn_ntire2022_x4", None),
    ("carn_m_multi_official", 3),
    ("efdn_ntire2022_x4", None),
    ("espcn_x3_fannymonori", None),
    ("falsr_a_x2_official", None),
    ("fsrcnn_x3_saafke", None),
    ("imdn_x4_official", None),
    ("pan_x4_official", None),
    ("rfdn_x4_official", None),
    ("rlfn_ntire2022_x4", None),
    ("span_ch28_ntire2024_x4", None),
    ("vdsr_pytorch", 3),
]


@pytest.mark.parametrize(("name", "scale"), RELEASED, ids=[name for name, _ in RELEASED])
def test_released_weights_become_models_that_make_the_same_picture(
    tmp_path: Path, shared: Path, photograph: NDArray[np.uint8], name: str, scale: int | None
) -> None:
    weights = shared / f"reference/weights/{name}.safetensors"
    card = export(weights, tmp_path / "a.onnx", scale=scale)
    spec, network = load(weights, scale)
    assert (card.network, card.arguments, card.scale) == (spec.name, spec.arguments, network.scale)
    lr = photograph[60:101, 70:123]
    expected = upscale_rgb8(network, lr).astype(int)
    for engine in ("openvino", "onnxruntime"):
        sr = Upscaler(tmp_path / "a.onnx", scale=card.scale, engine=engine, precision="f32", threads=1)(lr)
        assert np.abs(sr - expected).max() <= 1


def test_the_command_takes_released_weights(tmp_path: Path, shared: Path) -> None:
    weights = shared / "reference/weights/carn_m_multi_official.safetensors"
    result = CliRunner().invoke(app, ["export", str(weights), str(tmp_path / "carn_m_x2.onnx"), "--scale", "2"])
    assert result.exit_code == 0, result.output
    assert load_model(tmp_path / "carn_m_x2.onnx").card.scale == 2
    result = CliRunner().invoke(app, ["export", str(weights), str(tmp_path / "carn_m_x5.onnx"), "--scale", "5"])
    assert result.exit_code == 2
    assert "not 5" in result.output


@pytest.mark.parametrize("name", ["fast_x3", "imdn"])
def test_weights_can_be_read_from_a_model_again(tmp_path: Path, name: str) -> None:
    if name == "fast_x3":
        spec, network = load_weights(name)
        model = Upscaler(name, scale=3, precision="f32")
    else:
        spec = NetworkSpec("imdn", {"channels": 16, "blocks": 1})
        save_checkpoint(tmp_path / "n.safetensors", spec, spec.build())
        export(tmp_path / "n.safetensors", tmp_path / "n.onnx")
        spec, network = load_weights(str(tmp_path / "n.onnx"))
        model = Upscaler(tmp_path / "n.onnx", scale=4, precision="f32")
    assert spec.name == name.replace("fast_x3", "bicubicpp")
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    difference = model(picture).astype(int) - upscale_rgb8(network, picture)
    assert np.abs(difference).max() <= 1


def test_weights_that_a_model_has_no_more_are_named(tmp_path: Path) -> None:
    spec = NetworkSpec("fsrcnn", {"scale": 2})
    save_checkpoint(tmp_path / "n.safetensors", spec, spec.build())
    export(tmp_path / "n.safetensors", tmp_path / "n.onnx")
    with pytest.raises(ValueError, match=r"n.onnx: its weights cannot be trained further: .* is missing"):
        load_weights(str(tmp_path / "n.onnx"))


PATCHES = np.array([[0, 0, 2, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0]])
"""Classes of sub-images of a picture that is easy but for a few."""


def test_classsr_becomes_a_bundle_in_which_each_sub_image_takes_its_branch_or_a_larger_one(tmp_path: Path) -> None:
    network = small().eval()
    spec = NetworkSpec("classsr", {"scale": 4, "base": "fsrcnn", "channels": [4, 8, 12]})
    save_checkpoint(tmp_path / "a.safetensors", spec, network)
    card = export(tmp_path / "a.safetensors", tmp_path / "a.onnx")
    assert load_model(tmp_path / "a.onnx").card == card
    assert card.routing
    assert card.routing.cell == 32
    assert [branch.name for branch in card.routing.branches] == ["a_0", "a_1", "a_2"]
    costs = [branch.multiply_adds for branch in card.routing.branches]
    assert costs == sorted(costs)
    assert card.routing.multiply_adds == round(3_833_952 / 32**2)  # the authors' count of the class module
    brightness = np.array([230, 128, 25], np.uint8)[PATCHES]
    lr = np.repeat(brightness.repeat(32, 0).repeat(32, 1)[..., None], 3, axis=2)
    expected = [upscale_rgb8(branch, lr).astype(int) for branch in network.branches]
    assert len({tuple(picture[4 * 16, 4 * 16]) for picture in expected}) == 3, "branches are to differ"
    for engine in ("openvino", "onnxruntime"):
        sr = Upscaler(tmp_path / "a.onnx", scale=4, engine=engine, precision="f32", threads=1)(lr)
        wrong = []
        for (row, column), branch in np.ndenumerate(PATCHES):
            top, left = (4 * (32 * place + 12) for place in (row, column))
            middle = (slice(top, top + 32), slice(left, left + 32))
            taken = [place for place in range(3) if np.abs(sr[middle] - expected[place][middle]).max() <= 1]
            # A larger branch for the whole may be less work than windows of it; the largest is no such saving here.
            if taken not in ([branch], [max(branch, 1)]):
                wrong.append((row, column))
        assert not wrong, engine


def test_what_a_model_is_made_of_is_not_replaced(tmp_path: Path) -> None:
    spec = NetworkSpec("bicubicpp", {"scale": 2, "channels": 4})
    save_checkpoint(tmp_path / "a.safetensors", spec, spec.build())
    kept = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.part").write_text("mine")
    for target, says in (("a.safetensors", "NAME.onnx"), ("b", "NAME.onnx"), ("none/b.onnx", "no such folder")):
        with pytest.raises(ValueError, match=says):
            export(tmp_path / "a.safetensors", tmp_path / target)
    export(tmp_path / "a.safetensors", tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="is what the model is made of"):
        export(tmp_path / "a.onnx", tmp_path / "a.onnx")
    assert (tmp_path / "a.safetensors").read_bytes() == kept
    assert {path.name for path in tmp_path.iterdir()} == {"a.safetensors", "a.part", "a.onnx"}
