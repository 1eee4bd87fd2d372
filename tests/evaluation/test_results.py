import csv
import math
from pathlib import Path

import pytest

from upres.errors import UpresError
from upres.evaluation.results import Result, read_results, write_csv, write_json

RESULT = Result(
    "fast_x2",
    2,
    "Set5",
    "openvino",
    "f32",
    conventions={"psnr_y": "PSNR: dB"},
    means={"psnr_y": 31.5},
    images={"baby": {"psnr_y": 31.0}, "bird": {"psnr_y": 32.0}},
)


def test_json_comes_back_with_figures_beside_it(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_json(tmp_path / "out/a.json", [RESULT], [tmp_path / "crops/baby.png"])
    results, figures = read_results(tmp_path / "out/a.json")
    assert results == [RESULT]
    assert [figure.resolve() for figure in figures] == [(tmp_path / "crops/baby.png").resolve()]


def test_infinity_comes_back_from_json_that_has_none(tmp_path: Path) -> None:
    equal = Result("same", 2, "Set5", means={"psnr_y": math.inf}, images={"baby": {"psnr_y": math.inf, "ssim_y": 1.0}})
    write_json(tmp_path / "a.json", [equal])
    assert "Infinity" not in (tmp_path / "a.json").read_text()
    assert read_results(tmp_path / "a.json")[0] == [equal]


def test_csv_has_a_line_an_image_and_one_for_the_mean(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [RESULT])
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["image"], float(row["psnr_y"])) for row in rows] == [
        ("fast_x2", "baby", 31.0),
        ("fast_x2", "bird", 32.0),
        ("fast_x2", "", 31.5),
    ]


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", '{"results": [{"scale": 2}]}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UpresError, match=r"a.json: not a file of results; make one with `upres eval --json`"):
        read_results(tmp_path / "a.json")
    with pytest.raises(UpresError, match="cannot be read"):
        read_results(tmp_path / "none.json")
