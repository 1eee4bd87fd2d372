"""The graph around a network makes of pixels what the network itself makes."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from upres.compression.export import export
from upres.networks import Network, NetworkSpec
from upres.networks.base import upscale_rgb8
from upres.networks.checkpoint import save_checkpoint
from upres.runtime import Card, Upscaler, load_model
from upres.runtime.graph import PictureGraph, picture_graph

SHUFFLED = {
    "stride": NetworkSpec("bicubicpp", {"scale": 3, "channels": 8, "anchor": True}),
    "biases": NetworkSpec("bicubicpp", {"scale": 2, "channels": 8, "downscale": "none", "bias": True}),
    "attention": NetworkSpec("span", {"channels": 8}),
}


@pytest.mark.parametrize("name", SHUFFLED)
def test_the_shuffle_behind_the_graph_is_the_networks(tmp_path: Path, photograph: NDArray[np.uint8], name: str) -> None:
    torch.manual_seed(0)
    spec = SHUFFLED[name]
    network = spec.build().eval()
    card, file = exported(tmp_path, spec, network)
    graph = picture_graph(card, file, np.dtype(np.uint8))
    assert block_of(graph) == card.scale * card.alignment
    assert not [node for node in onnx.load_from_string(graph.onnx).graph.node if node.op_type == "DepthToSpace"]
    lr = photograph[:61, :77]
    expected = upscale_rgb8(network, lr).astype(int)
    for engine in ("openvino", "onnxruntime"):
        upscaler = Upscaler(tmp_path / "a.onnx", scale=card.scale, engine=engine, precision="f32")
        for _ in range(3):  # code for any shape, then for this one
            assert np.abs(upscaler(lr) - expected).max() <= 1


def test_words_and_floats_keep_the_shuffle_in_the_graph(tmp_path: Path) -> None:
    model = exported(tmp_path, SHUFFLED["stride"])
    for dtype in (np.uint16, np.float32):
        assert block_of(picture_graph(*model, np.dtype(dtype))) is None


def test_what_is_no_sum_of_convolutions_is_shuffled_by_the_engine(
    tmp_path: Path, photograph: NDArray[np.uint8]
) -> None:
    card, file = exported(tmp_path, SHUFFLED["stride"])
    model = onnx.load_from_string(file)
    shuffle = model.graph.node[-1]
    model.graph.node.insert(len(model.graph.node) - 1, onnx.helper.make_node("Relu", [shuffle.input[0]], ["positive"]))
    shuffle.input[0] = "positive"
    (tmp_path / "b.onnx").write_bytes(model.SerializeToString())
    assert block_of(picture_graph(card, model.SerializeToString(), np.dtype(np.uint8))) is None
    lr = photograph[:20, :30]
    whole, floats = Upscaler(tmp_path / "b.onnx", scale=3, precision="f32"), (lr / 255).astype(np.float32)
    assert np.abs(whole(lr) / 255 - np.clip(whole(floats), 0, 1)).max() <= 0.51 / 255


@pytest.mark.parametrize("threads", [None, 1])
def test_runs_of_pixels_become_rows(threads: int | None) -> None:
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (40, 60, 6, 6, 3), np.uint8)  # rows, columns, rows and columns in a block, colours
    expected = blocks.transpose(0, 2, 1, 3, 4).reshape(240, 360, 3)
    large = np.tile(blocks, (3, 3, 1, 1, 1))
    for picture, values in ((expected, blocks), (np.tile(expected, (3, 3, 1)), large)):
        graph = PictureGraph(b"", 3)
        lr = (len(picture) // 3, picture.shape[1] // 3, 3)
        assert np.array_equal(graph.picture(values.reshape(1, -1, 108), lr, threads), picture)


def exported(folder: Path, spec: NetworkSpec, network: Network | None = None) -> tuple[Card, bytes]:
    save_checkpoint(folder / "a.safetensors", spec, network or spec.build())
    card = export(folder / "a.safetensors", folder / "a.onnx")
    return card, load_model(folder / "a.onnx").onnx


def block_of(graph: PictureGraph) -> int | None:
    """Side of the blocks that the graph gives; None for rows of pixels."""
    sides = [side.dim_value for side in onnx.load_from_string(graph.onnx).graph.output[0].type.tensor_type.shape.dim]
    return math.isqrt(sides[2] // 3) if len(sides) == 3 else None
