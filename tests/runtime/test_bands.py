"""Models whose halo is the whole picture: whole where it is small, blended of overlapping tiles where it is not."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from upres.compression.export import export
from upres.runtime import Card, Upscaler
from upres.runtime.model import CARD_KEY

OVERLAP = 64


@pytest.fixture(scope="module")
def glance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that makes every pixel 2 x 2, halfway to the mean of all that it sees; it takes even sides only."""
    nodes = [
        helper.make_node("SpaceToDepth", ["lr"], ["deep"], blocksize=2),
        helper.make_node("DepthToSpace", ["deep"], ["same"], blocksize=2),
        helper.make_node("GlobalAveragePool", ["same"], ["mean"]),
        helper.make_node("Add", ["same", "mean"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["made"]),
        helper.make_node("Concat", ["made"] * 4, ["repeated"], axis=1),
        helper.make_node("DepthToSpace", ["repeated"], ["sr"], blocksize=2),
    ]
    graph = helper.make_graph(
        nodes,
        "glance",
        [helper.make_tensor_value_info("lr", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("sr", TensorProto.FLOAT, [1, 3, "rows", "columns"])],
        [numpy_helper.from_array(np.array(0.5, np.float32), "half")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    card = Card("glance", scale=2, halo=None, alignment=2, minimum=20)
    model.metadata_props.add(key=CARD_KEY, value=card.to_json())
    path = tmp_path_factory.mktemp("models") / "glance.onnx"
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(model)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_tiles_saw_of_the_picture_leaves_no_seams(glance: Path, of_kind: Any, channels: int, dtype: Any) -> None:
    lr = of_kind(channels, dtype, height=115, width=189)
    peak = 1 if dtype == np.float32 else np.iinfo(dtype).max
    whole = Upscaler(glance, scale=2, tile=1000)(lr)
    tiled = Upscaler(glance, scale=2, tile=100)(lr)
    assert (tiled.shape, tiled.dtype) == ((230, 378, channels), dtype)
    difference = tiled.astype(np.float64) / peak - whole / peak
    assert np.abs(difference).max() > 0.01  # the tiles saw other means
    rounded = 0 if dtype == np.float32 else 2 / peak
    for axis in (0, 1):  # halfway to other means, at most 1 apart, over the overlap's SR pixels
        assert np.abs(np.diff(difference, axis=axis)).max() < 0.5 / (2 * OVERLAP) + rounded


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_flat_picture_stays_flat(glance: Path, dtype: Any) -> None:
    for value in (1, 77, 255):
        flat = np.full((130, 232, 3), value, dtype)
        np.testing.assert_allclose(
            Upscaler(glance, scale=2, tile=75)(flat), value, rtol=1e-6 if dtype == np.float32 else 0
        )


def test_a_picture_that_fits_into_a_tile_is_the_models_own(glance: Path, photograph: NDArray[np.uint8]) -> None:
    lr = np.tile(photograph, (4, 2, 1))  # 704 x 480
    lr[:352] //= 4
    expected = np.repeat(np.repeat((lr + lr.mean((0, 1))) / 2, 2, axis=0), 2, axis=1)
    sr = Upscaler(glance, scale=2)(lr)
    assert np.abs(sr - expected).max() < 0.51
    assert np.array_equal(Upscaler(glance, scale=2, tile=704)(lr), sr)
    assert not np.array_equal(Upscaler(glance, scale=2, tile=702)(lr), sr)


SIZES = [(1, 1), (1, 301), (66, 66), (68, 132), (67, 131), (705, 3)]


@pytest.mark.parametrize(
    ("size", "tile"), [*itertools.product(SIZES, (None, 1, 90)), ((722, 708), None), ((722, 708), 90)]
)
def test_any_size_in_tiles_of_any(glance: Path, size: tuple[int, int], tile: int | None) -> None:
    lr = np.full((*size, 3), 200, np.uint8)
    lr[size[0] // 2 :] = 40
    sr = Upscaler(glance, scale=2, tile=tile)(lr)
    assert sr.shape == (2 * size[0], 2 * size[1], 3)
    assert sr.max() <= 200
    if not any(side % 2 or side < 20 for side in size):  # what pads the picture is seen, too
        assert sr.min() >= 40


def test_a_row_of_tiles_is_made_at_a_time_and_progress_is_told(glance: Path, of_kind: Any) -> None:
    lr = np.tile(of_kind(3, np.uint8), (9, 3, 1))
    done: list[float] = []
    bands = [len(band) for band in Upscaler(glance, scale=2, tile=96).bands(lr, progress=done.append)]
    assert sum(bands) == 2 * len(lr)
    assert max(bands) <= 2 * 96
    assert done == sorted(done)
    assert done[-1] == 1
    assert len(done) == len(bands) * 3  # of 96 columns, that begin at 0, 32 and, so that they end at 153, 57


def test_an_official_network_makes_nearly_the_same_in_tiles(
    tmp_path: Path, shared: Path, photograph: NDArray[np.uint8]
) -> None:
    export(shared / "reference/weights/rfdn_x4_official.safetensors", tmp_path / "rfdn.onnx")
    lr = photograph[20:150]
    whole = Upscaler(tmp_path / "rfdn.onnx", scale=4, tile=1000)(lr).astype(int)
    tiled = Upscaler(tmp_path / "rfdn.onnx", scale=4, tile=144)(lr).astype(int)
    difference = tiled - whole
    assert 0 < np.abs(difference).mean() < 0.5
    steps = np.abs(np.diff(difference, axis=1)).mean((0, 2))
    borders = [4 * column for column in (80, 96, 144, 160)]  # of the tiles' columns
    assert max(steps[column - 1] for column in borders) < steps.mean() + 3 * steps.std()
