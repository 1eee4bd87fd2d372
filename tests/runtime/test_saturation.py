import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from upres.errors import ModelError
from upres.runtime import Upscaler, bundled, load_model
from upres.runtime.saturation import PAIR, added_in_pairs, largest_sum, saturates

PLACES = 9
RUN = """
import sys, numpy, onnxruntime, openvino
lr = numpy.full((1, int(sys.argv[1]), 16, 16), 255, numpy.float32)
for path in sys.argv[2:]:
    compiled = openvino.Core().compile_model(path, "CPU")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for sums in (compiled(lr)[0], session.run(None, {"lr": lr})[0]):
        print(*sums[0, :, 8, 8])
"""


def convolution(weights: NDArray[np.int8], group: int = 1) -> bytes:
    """A quantised one, (outputs, inputs, 3, 3), that gives a 1024th of its sums, in bytes from -128 on."""
    tensors = {
        "one": np.float32(1),
        "zero": np.uint8(0),
        "weights": weights,
        "ones": np.ones(len(weights), np.float32),
        "zeros": np.zeros(len(weights), np.int8),
        "coarse": np.float32(1024),
        "middle": np.uint8(128),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["lr", "one", "zero"], ["bytes"]),
        helper.make_node("DequantizeLinear", ["bytes", "one", "zero"], ["seen"]),
        helper.make_node("DequantizeLinear", ["weights", "ones", "zeros"], ["kernel"], axis=0),
        helper.make_node("Conv", ["seen", "kernel"], ["sums"], pads=[1] * 4, group=group),
        helper.make_node("QuantizeLinear", ["sums", "coarse", "middle"], ["levels"]),
        helper.make_node("DequantizeLinear", ["levels", "coarse", "middle"], ["sr"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", count, "h", "w"])
        for name, count in (("lr", weights.shape[1] * group), ("sr", len(weights)))
    ]
    initial = [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "convolution", ends[:1], ends[1:], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def kernels(inputs: int, pair: Callable[[int, int], tuple[int, int]]) -> NDArray[np.int8]:
    """An output for each pair, with two weights in it alone."""
    pairs = added_in_pairs(inputs, PLACES)
    weights = np.zeros((len(pairs), inputs * PLACES), np.int8)
    for row, (first, second) in zip(weights, pairs, strict=True):
        row[[first, second]] = pair(int(first), int(second))
    return weights.reshape(len(pairs), inputs, 3, 3)


def test_the_pairs_are_those_of_channels_and_those_that_follow_each_other() -> None:
    assert added_in_pairs(2, 1).tolist() == [[0, 1]]
    assert added_in_pairs(4, 2).tolist() == [[0, 2], [1, 3], [4, 6], [5, 7]]
    in_place, across = [[0, 2], [1, 3]], [[1, 4], [3, 5]]
    assert added_in_pairs(3, 2).tolist() == sorted(in_place + across)


@pytest.mark.parametrize("instructions", ["SSE41", "AVX2", "AVX512_CORE"])
@pytest.mark.parametrize("inputs", [3, 4])
def test_sums_are_exact_without_vnni_if_no_pair_comes_to_more(tmp_path: Path, inputs: int, instructions: str) -> None:
    held = [
        kernels(inputs, lambda first, _: (127, 1) if first % 2 else (-1, -127)),
        kernels(inputs, lambda *_: (PAIR // 2, PAIR // 2)),
    ]
    tried = [*held, kernels(inputs, lambda *_: (127, 127))]
    files = [tmp_path / f"{number}.onnx" for number in range(len(tried))]
    for file, weights in zip(files, tried, strict=True):
        file.write_bytes(convolution(weights))
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(inputs), *map(str, files)],
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": instructions},  # heeded by OpenVINO
        capture_output=True,
        text=True,
        check=True,
    )
    made = np.array([line.split() for line in done.stdout.splitlines()], float).reshape(len(tried), 2, -1)
    off = np.abs(made - [[255 * weights.astype(int).sum((1, 2, 3))] for weights in tried])
    assert off[: len(held)].max() <= 512  # half of what levels are apart
    assert off[-1, 0].max() > 10_000


def test_an_output_of_one_weight_has_no_pair() -> None:
    assert largest_sum(np.array([[127], [-128]], np.int16), added_in_pairs(1, 1)).tolist() == [0, 0]


def test_a_model_that_may_overflow_is_told() -> None:
    assert not saturates(convolution(kernels(4, lambda *_: (64, 64))))
    assert saturates(convolution(kernels(4, lambda *_: (64, 65))))
    assert saturates(convolution(kernels(4, lambda *_: (-65, -64))))
    assert not saturates(convolution(kernels(4, lambda *_: (127, -127))))
    alone = np.full((8, 1, 3, 3), 64, np.int8)  # by groups, where pairs are unknown
    assert not saturates(convolution(alone, group=8))
    assert saturates(convolution(alone + np.int8(1), group=8))


def test_a_file_that_overflows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load(bundled()["fast_int8_x3"])
    weights = next(item for item in model.graph.initializer if len(item.dims) == 4 and item.data_type == 3)
    weights.CopyFrom(numpy_helper.from_array(np.full(weights.dims, 127, np.int8), weights.name))
    onnx.save(model, tmp_path / "a.onnx")
    assert saturates(load_model(tmp_path / "a.onnx").onnx)
    monkeypatch.setattr("upres.runtime.upscaler.adds_byte_products", lambda: True)
    assert Upscaler(tmp_path / "a.onnx", scale=3).route(3)
    monkeypatch.setattr("upres.runtime.upscaler.adds_byte_products", lambda: False)
    with pytest.raises(ModelError, match="sums overflow on this processor, which has neither VNNI nor AMX"):
        Upscaler(tmp_path / "a.onnx", scale=3)
