"""Several networks lie in one file and come out of it as they were."""

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from upres.metrics.psnr import luma
from upres.runtime import Card, Model, bundled, load_model
from upres.runtime.bundle import ROUTER, branches_of, bundle, detail_router, router_of
from upres.runtime.card import Routing
from upres.runtime.engines import open_engine
from upres.runtime.graph import hardness_graph, picture_graph

BRANCHES = ["fast_x4", "fast_jpeg_x4", "fine_x4"]  # the first two have the same tensors' names
BYTES = np.dtype(np.uint8)


@pytest.fixture(scope="module")
def bundled_model() -> Model:
    models = [load_model(bundled()[name]) for name in BRANCHES]
    cards = [model.card for model in models]
    routing = Routing(12, 4, 0.0, [(1.0, 0.0), (2.0, 1.0)], cards, 48, [0.1, 0.4, 1.0])
    parts = {ROUTER: detail_router(12), **{model.card.name: model.onnx for model in models}}
    return Model(Card("all_x4", 4, 14, routing=routing), bundle(parts))


def picture_of(model: Model, lr: NDArray[np.uint8]) -> NDArray[Any]:
    graph = picture_graph(model.card, model.onnx, BYTES)
    return open_engine("openvino", graph, "f32", 1).run(lr)


def hardness_of(router: bytes, lr: NDArray[Any], engine: str = "openvino") -> NDArray[Any]:
    return open_engine(engine, hardness_graph(router, lr.dtype), "f32", 1).run(lr)[..., 0]


def test_branches_come_back_in_order_and_compute_what_they_did(
    bundled_model: Model, photograph: NDArray[np.uint8]
) -> None:
    onnx.checker.check_model(onnx.load_from_string(bundled_model.onnx))
    branches = branches_of(bundled_model)
    assert [branch.card.name for branch in branches] == BRANCHES
    lr = np.ascontiguousarray(photograph[:40, :50])
    pictures = [picture_of(branch, lr) for branch in branches]
    for name, picture in zip(BRANCHES, pictures, strict=True):
        assert np.array_equal(picture, picture_of(load_model(bundled()[name]), lr))
    assert not np.array_equal(pictures[0], pictures[1])


def test_the_router_comes_back_and_computes_what_it_did(bundled_model: Model, photograph: NDArray[np.uint8]) -> None:
    lr = np.ascontiguousarray(photograph[:48, :60])
    assert np.array_equal(hardness_of(router_of(bundled_model), lr), hardness_of(detail_router(12), lr))


def test_one_network_has_no_branches() -> None:
    assert branches_of(load_model(bundled()["fast_x4"])) == []


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(("dtype", "peak"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_detail_is_the_mean_square_of_the_luma_laplacian_within_cells(
    of_kind: Any, engine: str, dtype: Any, peak: int
) -> None:
    lr = of_kind(3, dtype, height=36, width=48)
    y = luma(lr.astype(np.float64) * (255 / peak))
    inner = 4 * y[1:-1, 1:-1] - y[:-2, 1:-1] - y[2:, 1:-1] - y[1:-1, :-2] - y[1:-1, 2:]
    squares = np.pad(inner**2, 1)
    # Of every 12 rows the middle four of the first six, and every third column whose neighbours lie in the cell.
    mask = np.outer(np.isin(np.arange(36) % 12, range(1, 5)), np.isin(np.arange(48) % 12, [1, 4, 7, 10]))
    expected = np.array(
        [
            [squares[r : r + 12, c : c + 12][mask[r : r + 12, c : c + 12]].mean() for c in range(0, 48, 12)]
            for r in range(0, 36, 12)
        ]
    )
    hardness = hardness_of(detail_router(12), lr, engine)
    assert hardness.shape == (3, 4)
    assert expected.max() > 2 * expected.min()
    np.testing.assert_allclose(hardness, expected, rtol=1e-3)
