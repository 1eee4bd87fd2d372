import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from upres.cli import upscale
from upres.cli.main import app
from upres.errors import ModelError
from upres.images import FORMATS, MAX_MEGAPIXELS, Metadata, Picture, read, write
from upres.runtime.engines import ENGINES, PRECISIONS
from upres.runtime.upscaler import DENOISE

UPRES = [sys.executable, "-c", "from upres.cli.main import app; app(prog_name='upres')"]


def upres(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def picture(tmp_path: Path, of_kind: Any) -> Path:
    path = tmp_path / "photo.png"
    write(path, Picture(of_kind(3, np.uint8), Metadata(dpi=(72.0, 72.0))))
    return path


def test_a_picture_alone_is_enough(picture: Path) -> None:
    result = upres(picture)
    assert result.exit_code == 0, result.output
    made = read(picture.with_name("photo_x4.png"))
    assert made.pixels.shape == (148, 204, 3)
    assert made.metadata.dpi is not None


@pytest.mark.parametrize(
    ("options", "name", "shape"),
    [
        (["--scale", "2"], "photo_x2.png", (74, 102)),
        (["-s", "2.5"], "photo_x2.5.png", (93, 128)),
        (["--size", "100x90"], "photo_100x90.png", (90, 100)),
        (["--size", "102x"], "photo_102x.png", (74, 102)),
        (["--size", "x74"], "photo_x74.png", (74, 102)),
        (["--format", "webp", "--quality", "50", "-s", "3"], "photo_x3.webp", (111, 153)),
        (["--format", "jpeg", "--model", "fast_x2"], "photo_x4.jpg", (148, 204)),
        (["--engine", "onnxruntime", "-s", "2"], "photo_x2.png", (74, 102)),
    ],
)
def test_options(picture: Path, options: list[str], name: str, shape: tuple[int, int]) -> None:
    result = upres(*options, picture)
    assert result.exit_code == 0, result.output
    assert read(picture.with_name(name)).pixels.shape[:2] == shape


def test_quality_strip_overwrite_and_output(picture: Path) -> None:
    out = picture.parent / "out"
    sizes = {}
    for quality in (20, 95):
        assert upres(picture, "-o", out, "-f", "jpeg", "-q", quality, "--overwrite", "--strip").exit_code == 0
        sizes[quality] = (out / "photo_x4.jpg").stat().st_size
    assert sizes[20] < sizes[95]
    assert read(out / "photo_x4.jpg").metadata.dpi is None
    again = upres(picture, "-o", out, "-f", "jpeg")
    assert again.exit_code == 0
    assert "skipped" in again.output
    assert upres(picture, "-o", picture.parent / "mine.webp").exit_code == 0
    assert read(picture.parent / "mine.webp").format == "webp"


def test_folders_report_bad_files_at_the_end(picture: Path) -> None:
    (picture.parent / "bad.jpg").write_bytes(b"nothing")
    result = upres(picture.parent, "-s", 2, "--jobs", 2)
    assert result.exit_code == 1
    assert result.output.rstrip().splitlines()[-1].startswith(f"upres: {picture.parent / 'bad.jpg'}: not a picture")
    assert (picture.parent / "photo_x2.png").exists()
    quiet = upres(picture.parent, "-s", 3, "--quiet")
    assert "done" not in quiet.output
    assert "bad.jpg" in quiet.output
    debug = upres(picture.parent, "-s", 4, "--debug")
    assert "Traceback" in debug.output
    assert "Traceback" not in quiet.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.png"], "no such file"),
        ([""], "no such file"),
        (["--effort-map", "{}", "--overwrite", "-m", "auto", "{}"], "the picture or its result"),
        (["--effort-map", "{}", "-m", "auto", "-o", "other.webp", "{}"], "the picture or its result"),
        (["--effort-map", "map", "-m", "auto", "{}"], "cannot tell the format"),
        (["--scale", "0", "{}"], "above 0"),
        (["--scale", "nan", "{}"], "above 0"),
        (["--size", "12", "{}"], "WIDTHxHEIGHT"),
        (["--size", "0x5", "{}"], "at least 1"),
        (["--size", "5x5", "--scale", "2", "{}"], "not both"),
        (["--effort", "101", "{}"], "'--effort'"),
        (["--effort", "nan", "{}"], "--effort must be 0 to 100"),
        (["--effort", "50", "{}"], "fast is one network"),
        (["--budget", "2s", "{}"], "fast is one network"),
        (["--effort", "50", "--budget", "2s", "{}"], "not both"),
        (["--budget", "soon", "{}"], "2s or 500ms"),
        (["--budget", "0s", "{}"], "2s or 500ms"),
        (["--budget", "-1s", "{}"], "2s or 500ms"),
        (["--budget", "2 minutes", "{}"], "2s or 500ms"),
        (["--model", "none", "{}"], "choose one of"),
        (["--quality", "0", "{}"], "'--quality'"),
        (["--format", "xyz", "{}"], "'xyz'"),
        (["--engine", "abacus", "{}"], "'abacus'"),
        (["--max-megapixels", "0", "{}"], "above 0"),
        (["eval", "none", "-d", "."], "choose one of"),
        (["eval", "fast_x2", "-d", "nowhere"], "nowhere"),
        (["train", "none", "-o", "x"], "no recipe is called"),
        (["export", "none.safetensors", "a.onnx"], "there is no such file"),
        (["train", "fast_x2", "-o", "/dev/null/run"], "/dev/null/run"),
    ],
)
def test_wrong_usage_is_status_2_and_one_sentence(picture: Path, words: list[str], says: str) -> None:
    result = upres(*(word.format(picture) for word in words))
    assert result.exit_code == 2, result.output
    assert says in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a device of Linux")
@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_lines_that_cannot_be_written_cost_no_picture(picture: Path, closed: str) -> None:
    (picture.parent / "bad.jpg").write_bytes(b"nothing")
    command = shlex.join([*UPRES, str(picture.parent), "-s", "2", "--jobs", "1"])
    assert subprocess.run(f"{command} {closed}", shell=True, check=False).returncode == 1
    assert read(picture.with_name("photo_x2.png")).pixels.shape == (74, 102, 3)


@pytest.mark.parametrize(
    ("text", "seconds"), [("2s", 2), ("500ms", 0.5), ("0.25s", 0.25), (".5s", 0.5), ("3", 3), ("1.5S", 1.5)]
)
def test_budgets_are_times(picture: Path, monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    asked: list[float] = []

    def refuse(*_: object, budget: float, **__: object) -> None:
        asked.append(budget)
        raise ModelError("enough")

    monkeypatch.setattr("upres.runtime.Upscaler", refuse)
    assert upres("--budget", text, picture).exit_code == 2
    assert asked == [seconds]


@pytest.mark.usefixtures("cheap_windows")
def test_effort_decides_what_larger_networks_make(tmp_path: Path, two_branches: Path) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (144, 144, 3)) * np.linspace(5, 50, 144)[:, None]  # ever harder
    noise = (200 + noise).astype(np.uint8)
    write(tmp_path / "a.png", Picture(noise))
    means = []
    for options in (["--effort", 0], ["--effort", 50], ["--effort", 100], ["--budget", "60s"], []):
        result = upres(tmp_path / "a.png", "-m", two_branches, "-s", 2, "--overwrite", *options)
        assert result.exit_code == 0, result.output
        means.append(read(tmp_path / "a_x2.png").pixels.mean())
    plain = noise.mean()
    assert means[0] == pytest.approx(plain)
    assert plain / 2 + 10 < means[1] < plain - 10
    assert means[2:] == pytest.approx([plain / 2] * 3, abs=1)


def test_an_effort_map_is_drawn_for_one_picture_by_several_networks(
    tmp_path: Path, picture: Path, two_branches: Path
) -> None:
    drawn = tmp_path / "map.png"
    result = upres(picture, "-m", two_branches, "-s", 2, "--effort-map", drawn)
    assert result.exit_code == 0, result.output
    assert read(drawn).pixels.shape == read(picture).pixels.shape == (37, 51, 3)
    drawn.unlink()
    for options in ((), ("--size", "100x"), ("-m", "auto", "--effort", 100)):
        alone = upres(picture, *options, "--effort-map", drawn)
        assert alone.exit_code == 2
        assert "one network alone" in alone.output
    assert not drawn.exists()
    assert not picture.with_name("photo_x4.png").exists()
    write(tmp_path / "second.png", Picture(np.zeros((8, 8, 3), np.uint8)))
    several = upres(picture, tmp_path / "second.png", "-m", two_branches, "-s", 3, "--effort-map", drawn)
    assert several.exit_code == 2
    assert "draws one picture, and there are 2" in several.output
    assert not drawn.exists()
    assert not list(tmp_path.glob("*_x3.png"))


def test_the_choices_are_the_ones_that_there_are() -> None:
    assert [choice.value for choice in upscale.Format] == list(FORMATS)
    assert [choice.value for choice in upscale.Denoise] == list(DENOISE)
    assert [choice.value for choice in upscale.Engine] == list(ENGINES)
    assert [choice.value for choice in upscale.Precision] == list(PRECISIONS)
    assert MAX_MEGAPIXELS in (upscale.command.__defaults__ or ())


def test_models_lists_what_is_bundled() -> None:
    output = upres("models").output
    for name in ("fast_x2", "fast_x3", "fast_x4", "Set14", "Apache-2.0"):
        assert name in output


def test_denoise_takes_the_variants_and_debug_tells(tmp_path: Path, bundle: Any) -> None:
    bundle({"fast_x4": 1.0, "fast_jpeg_x4": 0.5, "fine_x4": 0.9})
    write(tmp_path / "a.jpg", Picture(np.full((16, 16, 3), 200, np.uint8)), quality=50)
    for choice, name in (("auto", "fast_jpeg_x4"), ("on", "fast_jpeg_x4"), ("off", "fast_x4")):
        result = upres(tmp_path / "a.jpg", "--denoise", choice, "--overwrite", "--debug")
        assert f"a.jpg: {name}\n" in result.output
        assert read(tmp_path / "a_x4.png").pixels.mean() == pytest.approx(200 if choice == "off" else 100, abs=1)
    assert upres(tmp_path / "a.jpg", "--overwrite").output.count("fast") == 0
    refused = upres(tmp_path / "a.jpg", "--model", "fine", "--denoise", "on")
    assert refused.exit_code == 2
    assert "fine has no model for compressed pictures at x4" in refused.output
    assert "variants for compressed pictures" in upres("models").output


def test_models_lists_the_networks_of_the_workbench() -> None:
    lines = upres("models", "--networks").output.splitlines()
    (pan,) = (line.split() for line in lines if line.split()[:1] == ["pan"])
    assert pan[:8] == ["pan", "x4", "x2", "x3", "x8", "272,419", "32.19", "G"]
    assert pan[-1] == "arXiv:2010.01073"


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys\nfrom upres.cli.main import app\n"
        "try: app(['upscale', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'openvino', 'onnx', 'PIL', 'pyvips', 'torch', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "--overwrite" in shown
    assert upres("--version").output.startswith("upres ")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_whole_files_only(tmp_path: Path, photograph: Any, kind: signal.Signals) -> None:
    for number in range(30):
        write(tmp_path / f"{number}.png", Picture(photograph))
    out = tmp_path / "out"
    process = subprocess.Popen([*UPRES, str(tmp_path), "-o", str(out)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (out.is_dir() and any(out.glob("*.png"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(kind)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "stopped" in said
    assert "Traceback" not in said
    assert {path.suffix for path in out.iterdir()} == {".png"}
    assert len(list(out.iterdir())) < 30
    for path in out.iterdir():
        assert read(path).pixels.shape == (704, 960, 3)
