import copy
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional as F
from typer.testing import CliRunner

from upres.cli.main import app
from upres.compression.export import export
from upres.compression.quantise import Quantised, quantise, quantiser_config, rebuild, unquantised
from upres.compression.structure import load, structure
from upres.images import make_lr
from upres.networks import NetworkSpec
from upres.networks.base import upscale_rgb8
from upres.networks.bicubicpp import BicubicPlusPlus
from upres.networks.checkpoint import save_checkpoint
from upres.runtime import Upscaler, load_model
from upres.runtime.processor import adds_byte_products

SPEC = NetworkSpec("bicubicpp", {"scale": 2, "channels": 8, "anchor": True, "bias": True})


@pytest.fixture(scope="module")
def pairs(photograph: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """LR (6, 3, 20, 20) and HR."""
    lr, hr = (torch.tensor(picture).permute(2, 0, 1) / 255 for picture in make_lr(photograph, 2))
    corners = [(y, x) for y in (5, 45) for x in (10, 45, 80)]
    return (
        torch.stack([lr[:, y : y + 20, x : x + 20] for y, x in corners]),
        torch.stack([hr[:, 2 * y : 2 * y + 40, 2 * x : 2 * x + 40] for y, x in corners]),
    )


def train(network: torch.nn.Module, pairs: tuple[Tensor, Tensor], steps: int) -> list[float]:
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(steps):
        loss = F.l1_loss(network(pairs[0]), pairs[1])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(scope="module")
def trained(pairs: tuple[Tensor, Tensor]) -> tuple[Quantised, list[float]]:
    """A network after a few steps of quantisation-aware training, and its losses."""
    torch.manual_seed(0)
    quantised = quantise(SPEC.build(), [pairs[0]])
    losses = train(quantised, pairs, 25)
    return quantised, losses


@pytest.fixture
def checkpoint(tmp_path: Path, trained: tuple[Quantised, list[float]]) -> Path:
    quantised = trained[0]
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, SPEC, quantised, facts=structure(quantised))
    return path


def test_training_lowers_the_loss_and_reaches_weights_and_ranges(trained: tuple[Quantised, list[float]]) -> None:
    quantised, losses = trained
    assert quantised.training
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert all(parameter.grad is not None for parameter in quantised.parameters())
    assert any("scale" in name or "range" in name for name, _ in quantised.named_parameters())


def test_it_says_of_itself_what_the_network_does(trained: tuple[Quantised, list[float]]) -> None:
    quantised, network = trained[0], SPEC.build()
    for fact in ("scale", "halo", "alignment", "minimum"):
        assert getattr(quantised, fact) == getattr(network, fact)
    assert quantised(torch.rand(1, 3, 7, 5)).shape == (1, 3, 14, 10)


def test_an_average_of_weights_is_a_network_of_its_own(
    trained: tuple[Quantised, list[float]], pairs: tuple[Tensor, Tensor]
) -> None:
    quantised = trained[0]
    before = quantised(pairs[0])
    average = copy.deepcopy(quantised)
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.lerp_(torch.zeros_like(parameter), 0.5)
    assert not torch.equal(average(pairs[0]), before)
    assert torch.equal(quantised(pairs[0]), before)


def test_threads_do_not_disturb_each_other(
    trained: tuple[Quantised, list[float]], pairs: tuple[Tensor, Tensor]
) -> None:
    quantised = copy.deepcopy(trained[0]).requires_grad_(False)
    alone = [quantised(lr[None]) for lr in pairs[0]]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda lr: quantised(lr[None]), list(pairs[0]) * 20))
    assert all(torch.equal(sr, alone[number % len(alone)]) for number, sr in enumerate(together))


def test_a_rebuilt_network_has_the_same_output(
    checkpoint: Path, trained: tuple[Quantised, list[float]], pairs: tuple[Tensor, Tensor]
) -> None:
    quantised = trained[0]
    rebuilt = rebuild(SPEC.build(), quantiser_config(quantised))
    rebuilt.load_state_dict(quantised.state_dict())
    assert torch.equal(rebuilt(pairs[0]), quantised(pairs[0]))
    spec, loaded = load(checkpoint)
    assert spec == SPEC
    assert not loaded.training
    assert torch.equal(loaded(pairs[0]), quantised(pairs[0]))
    with pytest.raises(ValueError, match="scale 2, not 3"):
        load(checkpoint, 3)


def test_a_network_that_was_merged_and_pruned_is_read_again(tmp_path: Path, pairs: tuple[Tensor, Tensor]) -> None:
    spec = NetworkSpec("ecbsr", {"scale": 2, "channels": 6, "blocks": 1})
    network = NetworkSpec("ecbsr", {"scale": 2, "channels": 4, "blocks": 1}).build()
    quantised = quantise(network, [pairs[0]])
    save_checkpoint(tmp_path / "a.safetensors", spec, quantised, facts=structure(quantised))
    assert torch.equal(load(tmp_path / "a.safetensors")[1](pairs[0]), quantised(pairs[0]))
    error = (quantised(pairs[0]) - network.eval()(pairs[0])).abs().mean()
    assert error < 0.01


def test_the_sum_with_the_upscaled_picture_is_exact(pairs: tuple[Tensor, Tensor]) -> None:
    network = BicubicPlusPlus(2, channels=8, bias=True, anchor=True)
    torch.nn.init.zeros_(network.tail.weight)
    network.tail.bias = None
    lr = torch.rand(1, 3, 8, 8)
    nearest = F.interpolate(lr, scale_factor=2, mode="nearest")
    torch.testing.assert_close(quantise(network, [pairs[0]])(lr), nearest, atol=1e-6, rtol=0)


def test_the_first_convolution_gets_all_bytes_whatever_the_patches_were() -> None:
    network = NetworkSpec("bicubicpp", {"scale": 2, "channels": 8, "downscale": "none"}).build()
    quantised = quantise(network, [torch.rand(1, 3, 16, 16) / 3])
    heard: list[Tensor] = []
    unquantised(quantised).head.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))  # type: ignore[union-attr]
    values = (torch.arange(256) / 255).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    quantised(values)
    quantised(values + 0.4 / 255)
    torch.testing.assert_close(heard[0], values, atol=1e-6, rtol=0)
    torch.testing.assert_close(heard[1], values, atol=1e-6, rtol=0)


needs_bytes = pytest.mark.skipif(adds_byte_products() is False, reason="this processor has neither VNNI nor AMX")


@pytest.fixture
def model(tmp_path: Path, checkpoint: Path) -> Path:
    card = export(checkpoint, tmp_path / "a.onnx")
    assert load_model(tmp_path / "a.onnx").card == card
    assert card.precision == "int8"
    return tmp_path / "a.onnx"


@needs_bytes
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_engines_compute_what_was_trained(
    model: Path, trained: tuple[Quantised, list[float]], photograph: NDArray[np.uint8], dtype: type
) -> None:
    lr = photograph[60:131, 50:149]
    expected = upscale_rgb8(copy.deepcopy(trained[0]).eval(), lr).astype(float)
    made = {}
    for engine in ("openvino", "onnxruntime"):
        upscaler = Upscaler(model, scale=2, engine=engine, threads=1)
        sr = upscaler(lr if dtype == np.uint8 else (lr / 255).astype(dtype))
        made[engine] = sr.astype(float) if dtype == np.uint8 else np.clip(sr, 0, 1) * 255
        assert np.abs(made[engine] - expected).max() <= 2
    assert np.abs(made["openvino"] - made["onnxruntime"]).max() <= 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("carn", {"scale": 2, "channels": 8}), ("imdn", {"scale": 2, "channels": 16, "blocks": 1})],
)
def test_concatenations_and_deviations_train_and_are_read_again(
    tmp_path: Path, name: str, arguments: dict[str, Any], pairs: tuple[Tensor, Tensor]
) -> None:
    """Quantisers that concatenations share stand in the state under several names; a variance is not for 8 bits."""
    spec = NetworkSpec(name, arguments)
    quantised = quantise(spec.build(), [pairs[0]]).train()
    quantised(pairs[0]).mean().backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in quantised.parameters())
    save_checkpoint(tmp_path / "a.safetensors", spec, quantised, facts=structure(quantised))
    again = load(tmp_path / "a.safetensors")[1]
    torch.testing.assert_close(again(pairs[0]), quantised.eval()(pairs[0]))


def test_features_that_are_zero_everywhere_are_no_obstacle(pairs: tuple[Tensor, Tensor]) -> None:
    network = SPEC.build()
    for value in unquantised(network).head.parameters():  # type: ignore[union-attr]
        torch.nn.init.zeros_(value)
    assert quantise(network, [pairs[0]])(pairs[0]).isfinite().all()


def test_what_cannot_be_quantised_is_named(
    pairs: tuple[Tensor, Tensor], trained: tuple[Quantised, list[float]]
) -> None:
    with pytest.raises(ValueError, match="patches"):
        quantise(SPEC.build(), [])
    with pytest.raises(ValueError, match="already"):
        quantise(trained[0], [pairs[0]])
    with pytest.raises(ValueError, match="depends on the picture"):
        quantise(NetworkSpec("classsr_fsrcnn").build(), [pairs[0]])


def test_what_a_checkpoint_says_of_its_quantisers_runs_nothing_else() -> None:
    point = {"hook_names_in_model": [], "module_path": "os", "module_cls_name": "system", "module_config": "true"}
    for config in ("", "[]", "{}", json.dumps({"compression_state": [point], "exact": []})):
        with pytest.raises(ValueError, match="not what quantised a network"):
            rebuild(SPEC.build(), config)


def test_the_command_quantises_after_training(tmp_path: Path, examples: Path, photograph: NDArray[np.uint8]) -> None:
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "a.safetensors", SPEC, SPEC.build())
    arguments = ["export", str(tmp_path / "a.safetensors"), str(tmp_path / "b.onnx")]
    result = CliRunner().invoke(app, [*arguments, "--int8", str(examples)])
    assert result.exit_code == 0, result.output
    assert result.output.strip() == str(tmp_path / "b.onnx")
    assert load_model(tmp_path / "b.onnx").card.precision == "int8"
    export(tmp_path / "a.safetensors", tmp_path / "a.onnx")
    f32, int8 = (Upscaler(tmp_path / name, scale=2, threads=1)(photograph) for name in ("a.onnx", "b.onnx"))
    assert np.abs(f32.astype(float) - int8).mean() < 1
    (tmp_path / "none").mkdir()
    result = CliRunner().invoke(app, [*arguments, "--int8", str(tmp_path / "none")])
    assert result.exit_code != 0
    assert "no photographs" in result.output


@needs_bytes
def test_tiles_of_any_shape_make_the_same_bytes(model: Path, photograph: NDArray[np.uint8]) -> None:
    whole = Upscaler(model, scale=2, threads=1)(photograph)
    for tile in (24, 50):
        assert np.array_equal(Upscaler(model, scale=2, threads=1, tile=tile)(photograph), whole)


def test_blocks_add_what_was_not_rounded_to_what_was(model: Path) -> None:
    nodes = onnx.load(model).graph.node
    rounded = {output for node in nodes if node.op_type == "DequantizeLinear" for output in node.output}
    of_block, with_picture = (node for node in nodes if node.op_type == "Add")
    assert len(rounded & set(of_block.input)) == 1
    assert [node.op_type for node in nodes if of_block.output[0] in node.input] == ["QuantizeLinear"]
    assert not rounded & set(with_picture.input)
    learnt = [node for node in nodes if node.op_type == "Conv" and node.input[1] in rounded]
    assert len(learnt) == 4
    assert all(node.input[0] in rounded for node in learnt)


def test_weights_in_the_file_are_integers(tmp_path: Path, trained: tuple[Quantised, list[float]]) -> None:
    grown = copy.deepcopy(trained[0])
    with torch.no_grad():
        unquantised(grown).blocks[0][0].weight *= 5  # type: ignore[index, union-attr]
    save_checkpoint(tmp_path / "a.safetensors", SPEC, grown, facts=structure(grown))
    export(tmp_path / "a.safetensors", tmp_path / "a.onnx")
    graph = onnx.load(tmp_path / "a.onnx").graph
    weights = {item.name: numpy_helper.to_array(item) for item in graph.initializer if len(item.dims) == 4}
    kernels = {(8, 3, 3, 3): 1, (8, 8, 3, 3): 2, (48, 8, 3, 3): 1}
    integers = [weight for weight in weights.values() if weight.dtype == np.int8]
    assert sorted(weight.shape for weight in integers) == sorted(
        shape for shape, number in kernels.items() for _ in range(number)
    )
    assert min(np.abs(weight.astype(int)).max() for weight in integers) > 64
    assert [weight.shape for weight in weights.values() if weight.dtype != np.int8] == [(48, 3, 2, 2)]  # the anchor
