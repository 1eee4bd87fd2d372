import sys
from pathlib import Path

import numpy as np
import pytest

from upres.errors import ImageError, MissingExtra
from upres.evaluation.fit_ma import fit_ma
from upres.images import Picture, read, resize, write
from upres.metrics import MaModel, ma

SIDES = (96, 64, 48, 36, 28, 22)  # the pixels that an image of 96×96 is made from, from sharp to soft
CORNERS = {"cat": [(10, 20), (70, 120), (40, 70)], "sign": [(60, 90), (100, 200), (20, 20)], "colosseum": [(40, 60)]}


@pytest.fixture(scope="module")
def scored(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of crops of two photographs, each ever softer, scored by that; the third photograph is not in it."""
    folder = tmp_path_factory.mktemp("scored")
    lines = ["image,score"]
    for name, corners in CORNERS.items():
        photograph = read(examples / f"{name}.webp").rgb8()
        for number, (top, left) in enumerate(corners):
            crop = photograph[top : top + 96, left : left + 96]
            for side in SIDES:
                image = f"{name}_{number}_{side}.png"
                write(folder / image, Picture(resize(resize(crop, (side, side)), (96, 96))))
                lines += [f"{image},{score(side):.2f}"] if name != "colosseum" else []
    (folder / "table.csv").write_text("\n".join(lines))
    return folder


def score(side: int) -> float:
    return 10 * side / 96


def test_a_fitted_model_orders_a_photograph_that_it_has_not_seen(scored: Path) -> None:
    pytest.importorskip("sklearn")
    model = fit_ma(scored / "table.csv", trees=100)
    assert all(len(forest.roots) == 100 for forest in model.forests)
    told = [ma(read(scored / f"colosseum_0_{side}.png").rgb8(), model) for side in SIDES]
    assert told == sorted(told, reverse=True)
    assert np.corrcoef(told, [score(side) for side in SIDES])[0, 1] > 0.95
    seen = [ma(read(scored / f"cat_0_{side}.png").rgb8(), model) for side in SIDES]
    np.testing.assert_allclose(seen, [score(side) for side in SIDES], atol=1.5)


def test_equal_seeds_make_equal_models(scored: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    lines = (scored / "table.csv").read_text().splitlines()[:9]
    table = scored / "few.csv"
    table.write_text("\n".join(lines))
    first, same, other = (fit_ma(table, trees=5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.linear, same.linear)
    np.testing.assert_array_equal(first.forests[2].threshold, same.forests[2].threshold)
    assert not np.array_equal(first.linear, other.linear)
    first.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(MaModel.load(tmp_path / "model.npz").linear, first.linear)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", ValueError, "must name the columns image and score"),
        ("file,score\n" + "a.png,1\n" * 6, ValueError, "must name the columns image and score, not file, score"),
        ("image,score\na.png,1\n", ValueError, "1 images are too few for a forest; give at least 6"),
        (
            "image,score\n" + "a.png,1\n" * 6 + "a.png,good\n",
            ValueError,
            "line 8: the score must be a number",
        ),
        ("image,score\n" + "a.png\n" * 6, ValueError, "line 2: the score must be a number, not None"),
        ("image,score\n" + "a.png,nan\n" * 6, ValueError, "line 2: the score must be a number"),
        ("image,score\n" + "none.png,1\n" * 6, ImageError, r"none\.png: there is no such file"),
        ("image,score\n" + "small.png,1\n" * 6, ValueError, r"small\.png: 20x20 is too small"),
        ("\xff\x00", ValueError, "not a CSV file"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path: Path, text: str, error: type[Exception], says: str) -> None:
    pytest.importorskip("sklearn")
    table = tmp_path / "table.csv"
    table.write_text(text, encoding="latin-1")
    write(tmp_path / "small.png", Picture(np.zeros((20, 20, 3), np.uint8)))
    with pytest.raises(error, match=says):
        fit_ma(table)


def test_without_scikit_learn_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingExtra, match=r"scikit-learn is not installed.*upres\[lab\]"):
        fit_ma(tmp_path / "table.csv")
