import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from upres.errors import MissingExtra, ModelError
from upres.metrics import MaFeatures, MaModel, ma, ma_features
from upres.metrics.forest import Forest


def stump(feature: int, threshold: float, below: float, above: float) -> Forest:
    parts = ([1, -1, -1], [2, -1, -1], [feature, -2, -2], [threshold, 0, 0], [0, below, above])
    return Forest.join([tuple(np.array(part) for part in parts)])


@pytest.fixture
def model() -> MaModel:
    forests = (stump(17, 0.2, 1, 2), stump(44, 0.9, 3, 4), stump(74, 0.5, 5, 6))
    return MaModel(forests, np.array([0.5, 1, 10, 100]))


def vectors(local: float, overall: float, spatial: float) -> MaFeatures:
    """Features that are 0 but for the last of each group."""
    return MaFeatures(*(np.append(np.zeros(n), last) for n, last in ((17, local), (44, overall), (74, spatial))))


def test_the_score_is_a_linear_combination_of_the_forests(model: MaModel, photograph: NDArray[np.uint8]) -> None:
    assert model(vectors(0.2, 0.9, 0.5)) == 0.5 + 1 + 30 + 500
    assert model(vectors(0.3, 1.0, 0.6)) == 0.5 + 2 + 40 + 600
    assert ma(photograph, model) == model(ma_features(photograph))


def test_a_saved_model_scores_the_same(model: MaModel, photograph: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    model.save(path)
    assert ma(photograph, path) == ma(photograph, model)
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"]


def authors_forest(feature: int) -> dict[str, Any]:
    """Three trees as the package randomforest-matlab stores them, a column each, filled up with zeros.

    The first asks whether the feature (counted from 1) is at most 0.5, then whether it is at
    most 0.25; the second is a leaf; the third asks whether feature 1 is at most -1.
    """
    column = {
        "lDau": [[2, 4, 0, 0, 0], [0] * 5, [2, 0, 0, 0, 0]],
        "rDau": [[3, 5, 0, 0, 0], [0] * 5, [3, 0, 0, 0, 0]],
        "mbest": [[feature, feature, 0, 0, 0], [0] * 5, [1, 0, 0, 0, 0]],
        "upper": [[0.5, 0.25, 0, 0, 0], [0] * 5, [-1, 0, 0, 0, 0]],
        "avnode": [[5, 2, 9, 1, 3], [3, 0, 0, 0, 0], [0, 0, 6, 0, 0]],
    }
    integers = ("lDau", "rDau", "mbest")
    return {
        **{name: np.array(trees, np.int32 if name in integers else float).T for name, trees in column.items()},
        "nodestatus": np.full((5, 3), "\ufdfd"),
        "nrnodes": 5.0,
        "ndtree": np.array([[5], [1], [3]], np.int32),
        "ntree": 3.0,
        "coef": np.zeros((1, 2)),
    }


def test_the_authors_model_is_read(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io")
    cells = np.empty((1, 3), object)
    cells[0] = [authors_forest(count) for count in (18, 45, 75)]
    path = tmp_path / "model.mat"
    io.savemat(path, {"model": {"rf": cells, "linear": np.array([[-1.0], [0.5], [0.25], [2.0]])}}, do_compression=True)
    model = MaModel.load(path)
    low, middle, high = (1 + 3 + 6) / 3, (3 + 3 + 6) / 3, (9 + 3 + 6) / 3
    assert model(vectors(0.25, 0.5, 0.51)) == pytest.approx(-1 + 0.5 * low + 0.25 * middle + 2 * high)
    model.save(tmp_path / "model.npz")
    assert MaModel.load(tmp_path / "model.npz")(vectors(1, 0, 1)) == pytest.approx(-1 + 2.5 * high + 0.25 * low)


def test_models_that_are_none_are_named(tmp_path: Path, model: MaModel) -> None:
    with pytest.raises(OSError, match=r"none\.mat"):
        MaModel.load(tmp_path / "none.mat")
    path = tmp_path / "model.mat"
    for content in (b"", b"PK nothing", b"MATLAB 5.0 MAT-file" + bytes(300)):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"model\.mat: not a model of the metric of Ma"):
            MaModel.load(path)
    with pytest.raises(ValueError, match="18 local_frequency features"):
        MaModel((stump(18, 0, 0, 0), *model.forests[1:]), model.linear)
    with pytest.raises(ValueError, match="four finite numbers"):
        MaModel(model.forests, np.array([0, 1, np.nan, 1]))


def test_without_scipy_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.mat").write_bytes(b"MATLAB")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingExtra, match=r"upres\[lab\]"):
        MaModel.load(tmp_path / "model.mat")
