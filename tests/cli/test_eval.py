import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from upres.cli.main import app
from upres.images import Picture, make_lr, read, write
from upres.training.data import load_photographs


def upres(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def data(tmp_path: Path, photograph: NDArray[np.uint8]) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    write(folder / "a.png", Picture(photograph))
    write(folder / "b.png", Picture(np.ascontiguousarray(photograph[:, ::-1])))
    return folder


def numbers(output: str, name: str) -> list[float]:
    """Of the line of the table that begins with a name."""
    (line,) = (line for line in output.splitlines() if line.split()[:1] == [name])
    return [float(word) for word in line.split() if word.replace(".", "").isdigit()]


def test_the_convention_is_printed_and_bicubic_beside(data: Path) -> None:
    result = upres("eval", "fast_x2", "--data", data, "--images")
    assert result.exit_code == 0, result.output
    assert "photographs x2, 2 images" in result.output
    assert "2 pixels shaved" in result.output
    assert "not rounded" in result.output
    psnr, ssim = numbers(result.output, "fast_x2")
    bicubic_psnr, bicubic_ssim = numbers(result.output, "bicubic")
    assert psnr > bicubic_psnr + 1
    assert 1 > ssim > bicubic_ssim
    assert result.output.count("\n    a ") == 2 or result.output.count(" a ") == 2


def test_several_models_and_scales_in_files_and_figures(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--json", out / "r.json", "--csv", out / "r.csv", "--save", out / "made", "--crops", out / "crops"]
    result = upres(
        "eval", "fast_x2", "fast_x4", "-d", data, "--metrics", "psnr_rgb,niqe", "--region", "b:8,8,32x24", *options
    )
    assert result.exit_code == 0, result.output
    content = json.loads((out / "r.json").read_text())
    assert [(entry["model"], entry["scale"]) for entry in content["results"]] == [
        ("bicubic", 2),
        ("fast_x2", 2),
        ("bicubic", 4),
        ("fast_x4", 4),
    ]
    for entry in content["results"]:
        assert set(entry["means"]) == {"psnr_rgb", "niqe"}
        assert list(entry["images"]) == ["a", "b"]
        assert entry["data"] == "photographs"
    assert (out / "r.csv").read_text().startswith("model,scale,data,image,psnr_rgb,niqe\n")
    assert read(out / "made/photographs_x4/fast_x4/a.png").pixels.shape == (176, 240, 3)
    assert sorted(content["figures"]) == sorted(set(content["figures"])), "one figure a scale"
    assert all((out / figure).exists() for figure in content["figures"])


def test_saved_pictures_are_judged_under_the_models_names(data: Path, tmp_path: Path) -> None:
    first = upres("eval", "fast_x2", "-d", data, "--save", tmp_path / "made", "--images")
    made = [tmp_path / "made/photographs_x2" / name for name in ("fast_x2", "bicubic")]
    again = upres("eval", *made, "-s", 2, "-d", data, "--images")
    assert again.exit_code == 0, again.output
    for name in ("fast_x2", "bicubic"):
        assert numbers(again.output, name) == numbers(first.output, name)


def test_saved_pictures_and_lr_can_be_trained_on(data: Path, tmp_path: Path) -> None:
    upres("eval", "fast_x2", "-d", data, "--save", tmp_path, "--self-ensemble")
    made = tmp_path / "photographs_x2"
    assert {folder.name for folder in made.iterdir()} == {"LR", "bicubic", "fast_x2+"}
    photographs = load_photographs(str(made / "fast_x2+"), 2, lr=str(made / "LR"))
    for (lr, sr), name in zip(photographs.pairs(), ("a", "b"), strict=True):
        assert np.array_equal(lr, make_lr(read(data / f"{name}.png").rgb8(), 2)[0])
        assert np.array_equal(sr, read(made / f"fast_x2+/{name}.png").pixels)


def test_a_set_that_is_named_by_a_relative_path_has_its_folders_name(
    data: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(data)
    result = upres("eval", "fast_x2", "-d", ".", "--json", tmp_path / "r.json")
    assert "photographs x2, 2 images" in result.output
    assert {entry["data"] for entry in json.loads((tmp_path / "r.json").read_text())["results"]} == {"photographs"}


def test_a_region_of_one_of_several_sets(data: Path, tmp_path: Path, photograph: NDArray[np.uint8]) -> None:
    (tmp_path / "others").mkdir()
    write(tmp_path / "others/c.png", Picture(photograph))
    words = ["-d", data, "-d", tmp_path / "others", "--crops", tmp_path / "crops", "--region", "c:0,0,20x30"]
    result = upres("eval", "fast_x2", *words)
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "crops").rglob("*.png")] == ["c.png"]


def test_equal_pictures_make_json_that_every_program_reads(data: Path, tmp_path: Path) -> None:
    result = upres("eval", data, "-s", 2, "-d", data, "--json", tmp_path / "r.json")
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)
    assert content["results"][1]["means"] == {"psnr_y": None, "ssim_y": pytest.approx(1)}


def test_rounded_luma_and_given_lr(data: Path, tmp_path: Path) -> None:
    plain = upres("eval", "fast_x2", "-d", data)
    rounded = upres("eval", "fast_x2", "-d", data, "--round-luma")
    assert "rounded" in rounded.output
    assert 0 < abs(numbers(plain.output, "fast_x2")[0] - numbers(rounded.output, "fast_x2")[0]) < 0.1
    reduced = tmp_path / "lr"
    reduced.mkdir()
    for name in ("a", "b"):
        write(reduced / f"{name}x2.png", Picture(read(data / f"{name}.png").pixels[::2, ::2].copy()))
    given = upres("eval", "fast_x2", "-d", data, "--lr", reduced)
    assert given.exit_code == 0, given.output
    assert numbers(given.output, "bicubic") != numbers(plain.output, "bicubic")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metrics", "psnr_y,vif"], "not 'vif'"),
        (["--lr", ".", "--lr", "."], "there are 2 and 1"),
        (["--niqe", "published", "--metrics", "niqe"], "upres metrics fetch niqe"),
        (["--metrics", "pi"], "upres metrics fetch ma"),
        (["--engine", "torch"], "torch engine runs checkpoints"),
        (["--region", "c:1,1,9x9", "--crops", "figures"], "no image c"),
        (["--region", "a:1,1,900x9", "--crops", "figures"], "1,1,900x9 does not lie within an image of 240x176"),
        (["--region", "1,1,9x9", "--crops", "figures"], "must be IMAGE:LEFT,TOP,WIDTHxHEIGHT"),
        (["--region", "a:1,1,9x9"], "with --crops"),
        (["-d", "elsewhere/photographs"], "two data sets are called photographs"),
        (["--metrics", ""], "not ''"),
        (["--json", "."], "is a folder"),
    ],
)
def test_what_is_wrong_is_said(data: Path, tmp_path: Path, words: list[str], said: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    result = upres("eval", "fast_x2", "-d", data, *words)
    assert result.exit_code == 2
    assert said in result.output
    assert "PSNR" not in result.output.replace("PSNR,", ""), "it is said before anything is measured"


def test_a_pristine_model_of_ones_own(data: Path, tmp_path: Path) -> None:
    grain = np.random.default_rng(0).integers(0, 256, (96 * 7, 96 * 7, 3), np.uint8)
    (tmp_path / "pristine").mkdir()
    write(tmp_path / "pristine/grain.png", Picture(grain))
    fitted = upres("metrics", "fit-niqe", tmp_path / "pristine", "--out", tmp_path / "mine.npz")
    assert fitted.exit_code == 0, fitted.output
    mine = upres("eval", "fast_x2", "-d", data, "--metrics", "niqe", "--niqe", tmp_path / "mine.npz")
    own = upres("eval", "fast_x2", "-d", data, "--metrics", "niqe")
    assert numbers(mine.output, "fast_x2") != numbers(own.output, "fast_x2")
    assert "mine.npz" in mine.output


def test_data_sets_are_listed() -> None:
    output = upres("data", "list").output
    for name in ("DIV2K", "Flickr2K", "Set5", "Set14", "BSD100", "Urban100", "PIRM"):
        assert name in output
