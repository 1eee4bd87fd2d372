from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from upres.compression.export import to_onnx, write_model
from upres.compression.lattice import FEATURES, WEIGHTS, in_few_bits, settled, step_of
from upres.compression.quantise import quantise
from upres.networks import Network
from upres.networks.bicubicpp import BicubicPlusPlus
from upres.runtime import Upscaler
from upres.runtime.card import Card

deep = partial(BicubicPlusPlus, 2, channels=8, blocks=4, downscale="none", slope=0.05, bias=True, anchor=True)


@pytest.fixture
def batches() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, 48, 48, generator=generator) for _ in range(3)]


def test_few_bits_are_few_and_near() -> None:
    values = torch.logspace(-4, 4, 1000, dtype=torch.float64)
    for bits in (1, 2, 3):
        few = in_few_bits(values, bits)
        mantissas, _ = torch.frexp(few)
        assert set((mantissas * 2**bits).tolist()) == {float(number) for number in range(2 ** (bits - 1), 2**bits)}
        assert ((few / values).log().abs() <= torch.log(torch.tensor(1 + 0.5**bits))).all()
    assert in_few_bits(torch.tensor([6.0, 1.0, 0.875]), 3).tolist() == [6.0, 1.0, 0.875]


def scales(network: Network) -> dict[str, list[float]]:
    """Of features and of weights in the exported model, in order, and biases in multiples of both's product."""
    graph = onnx.load_from_string(to_onnx(network)).graph
    values = {tensor.name: numpy_helper.to_array(tensor).astype(np.float64) for tensor in graph.initializer}
    made = {output: node for node in graph.node for output in node.output}
    found: dict[str, list[float]] = {"features": [], "weights": [], "biases": []}
    for node in graph.node:
        if node.op_type == "Conv" and node.input[1] in made:
            step, of_weights = (values[made[name].input[1]] for name in node.input[:2])
            found["features"].append(float(step))
            found["weights"].extend(of_weights.flatten())
            found["biases"].extend(values[node.input[2]] / (step * of_weights.flatten()))
    return found


def test_scales_have_few_bits_and_biases_are_half_of_a_multiple_off(batches: list[Tensor]) -> None:
    torch.manual_seed(0)
    network = deep()
    found = scales(quantise(network, batches))
    picture, *features = torch.tensor(found["features"], dtype=torch.float64)
    assert float(picture) == pytest.approx(1 / 255)
    assert torch.equal(in_few_bits(torch.stack(features), FEATURES), torch.stack(features))
    inner = torch.stack(features[1:-1:2])  # of the blocks' own, which nothing ties
    assert torch.equal(in_few_bits(inner, 1), inner)
    weights = torch.tensor(found["weights"], dtype=torch.float64)[8 : -len(network.tail.weight)]
    assert torch.equal(in_few_bits(weights, WEIGHTS), weights)
    np.testing.assert_allclose(np.array(found["biases"]) % 1, 0.5, atol=0.01)


def test_both_engines_draw_the_same_bytes(batches: list[Tensor], photograph: NDArray[np.uint8], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = deep()
    quantised = quantise(network, batches)
    card = Card("a", scale=2, halo=network.halo, precision="int8")
    write_model(onnx.load_from_string(to_onnx(quantised)), card, tmp_path / "a.onnx")
    first, second = (
        Upscaler(tmp_path / "a.onnx", scale=2, engine=engine)(photograph) for engine in ("openvino", "onnxruntime")
    )
    assert first.std() > 1
    assert np.mean(first != second) < 1e-5  # 5e-4 where scales have all bits


@torch.no_grad()
def test_settled_features_draw_the_same(batches: list[Tensor]) -> None:
    torch.manual_seed(0)
    network: Any = deep()
    core: Any = quantise(network, batches).eval().core
    quantisers = [module for module in core.modules() if hasattr(module, "input_range")]
    for quantiser in quantisers:
        quantiser.input_range.mul_(1.3)
        quantiser.input_low.mul_(1.3)
    scaled: Any = settled(network, core, [module for module in core.modules() if hasattr(module, "quantize")], batches)
    assert torch.allclose(scaled(batches[0]), network(batches[0]), atol=1e-5)
    assert not torch.equal(scaled.blocks[0][0].weight, network.blocks[0][0].weight)
    steps = torch.tensor([step_of(quantiser) for quantiser in quantisers])
    assert torch.equal(in_few_bits(steps, FEATURES), steps)
