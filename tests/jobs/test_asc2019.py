import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import upres
from upres.challenges.asc2019 import ROOT
from upres.errors import ChallengeError, ModelError
from upres.images import Picture, make_lr, read, write
from upres.jobs.asc2019 import check, pack, plan


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory, photograph: NDArray[np.uint8]) -> Path:
    """LR and HR pictures 01.png to 03.png, of several sizes."""
    folder = tmp_path_factory.mktemp("contest")
    for number, (height, width) in enumerate([(96, 120), (100, 80), (64, 64)], 1):
        hr = photograph[30 : 30 + height, 40 : 40 + width]
        for name, pixels in (("HR", hr), ("LR", make_lr(hr, 4)[0])):
            (folder / name).mkdir(exist_ok=True)
            write(folder / name / f"{number:02}.png", Picture(np.ascontiguousarray(pixels)))
    (folder / "LR" / ".DS_Store").write_bytes(b"of the Finder")
    return folder


@pytest.fixture(scope="module")
def packed(contest: Path) -> Path:
    results = list(pack(plan(contest / "LR", contest / "out", count=3), "fast_x4"))
    assert [result.error for result in results] == [None] * 3
    return contest / "out"


@pytest.fixture
def hand_in(packed: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(packed / ROOT, tmp_path / ROOT))


def problems(hand_in: Path, contest: Path, **options: Any) -> list[str]:
    found = check(hand_in, contest / "LR", **{"count": 3, **options})
    return [f"{finding.fact}: {finding.problem}" for finding in found if finding.problem]


def test_a_hand_in_holds_what_the_contest_asks_for(packed: Path, contest: Path) -> None:
    files = sorted(str(path.relative_to(packed)) for path in packed.rglob("*") if path.is_file())
    names = ("HR_images/01.png", "HR_images/02.png", "HR_images/03.png", "model/fast_x4.onnx", "script/upscale.py")
    assert files == [f"{ROOT}/{name}" for name in names]
    assert read(packed / ROOT / "HR_images" / "02.png").pixels.shape == (100, 80, 3)
    for folder in (packed, packed / ROOT):
        findings = list(check(folder, contest / "LR", count=3))
        assert len(findings) == 7
        assert not any(finding.problem for finding in findings)


def test_its_script_makes_the_same_pictures_with_this_version_only(packed: Path, contest: Path, tmp_path: Path) -> None:
    script = packed / ROOT / "script" / "upscale.py"
    command = [sys.executable, str(script), str(contest / "LR"), str(tmp_path / "again")]
    subprocess.run(command, check=True)
    for path in (packed / ROOT / "HR_images").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    other = tmp_path / "upscale.py"
    other.write_text(script.read_text().replace(upres.__version__, "0.0.7"))
    said = subprocess.run([sys.executable, str(other), *command[2:]], capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert f"this is upres {upres.__version__}; the pictures were made with upres 0.0.7" in said.stderr


def test_what_is_there_is_not_touched_unless_told(contest: Path, hand_in: Path) -> None:
    first, mine = hand_in / "HR_images" / "01.png", hand_in / "mine.txt"
    original = first.read_bytes()
    for path in (first, mine):
        path.write_bytes(b"precious")
    with pytest.raises(ChallengeError, match="is there already"):
        plan(contest / "LR", hand_in.parent, count=3)
    assert first.read_bytes() == b"precious"
    list(pack(plan(contest / "LR", hand_in.parent, count=3, overwrite=True), "fast_x4"))
    assert first.read_bytes() == original
    assert mine.read_bytes() == b"precious"
    assert problems(hand_in, contest) == [
        "it holds HR_images, script, model: mine.txt beside: take what does not belong to it out"
    ]


def test_packing_that_was_interrupted_is_seen(contest: Path, hand_in: Path) -> None:
    results = pack(plan(contest / "LR", hand_in.parent, count=3, overwrite=True), "fast_x4")
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert any("script holds the code" in problem for problem in problems(hand_in, contest))


def test_packing_with_a_picture_that_cannot_be_read_is_seen(contest: Path, tmp_path: Path) -> None:
    lr = Path(shutil.copytree(contest / "LR", tmp_path / "LR"))
    (lr / "02.png").write_bytes(b"nothing")
    results = list(pack(plan(lr, tmp_path, count=3), "fast"))
    assert [result.job.source.name for result in results if result.error] == ["02.png"]
    assert any("02.png missing" in problem for problem in problems(tmp_path, contest))


def test_the_number_of_pictures_and_the_models_scale_are_the_contests(contest: Path, tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match="holds 3 pictures, not 80"):
        plan(contest / "LR", tmp_path)
    with pytest.raises(ChallengeError, match=r"nowhere: cannot be read as a folder"):
        plan(contest / "nowhere", tmp_path)
    with pytest.raises(ModelError, match="fast_x2: is a model for x2"):
        next(pack(plan(contest / "LR", tmp_path, count=3), "fast_x2"))
    assert list(tmp_path.iterdir()) == []
    lr = Path(shutil.copytree(contest / "LR", tmp_path / "LR"))
    shutil.copy(lr / "01.png", lr / "01.bmp")
    with pytest.raises(ChallengeError, match=r"several pictures would become 01\.png"):
        plan(lr, tmp_path, count=4)


def test_check_names_what_is_wrong_with_each_picture(contest: Path, hand_in: Path, photograph: Any) -> None:
    images = hand_in / "HR_images"
    (images / "01.png").write_bytes((images / "01.png").read_bytes()[:-500])
    write(images / "02.png", read(images / "02.png"), format="bmp")
    write(images / "03.png", Picture(photograph[:64, :63]))
    (images / "notes.txt").touch()
    (hand_in / "model" / "fast_x4.onnx").write_bytes(b"")
    found = "\n".join(problems(hand_in, contest, count=4))
    for part in (
        "notes.txt beside: take",
        "01.png: cannot be decoded",
        "02.png is a BMP",
        "03.png is 63x64, not 64x64",
        "model holds the model: it is empty",
        "there are 4 LR pictures: there are 3",
    ):
        assert part in found
    (images / "02.png").rename(images / "2.png")
    assert "02.png missing: pack again; 2.png, notes.txt beside" in "\n".join(problems(hand_in, contest))


def test_no_pictures_at_all_are_not_right_pictures(contest: Path, hand_in: Path) -> None:
    shutil.rmtree(hand_in / "HR_images")
    assert problems(hand_in, contest) == [
        "it holds HR_images, script, model: HR_images missing: make the hand-in anew",
        "HR_images holds the 3 pictures of the LR pictures' names: 01.png, 02.png, 03.png missing: pack again",
        "every picture is a whole PNG, 4 times the LR picture's size: there is none: pack again",
    ]


def test_a_folder_of_another_name_is_no_hand_in(contest: Path, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, contest)
    assert "is not called so" in found


def test_rmse_and_pi_are_those_of_all_pictures_together(packed: Path, contest: Path) -> None:
    values = iter([(6.0, 2.0), (10.0, 3.0), (14.0, 4.0)])

    def measure(sr: NDArray[Any], hr: NDArray[Any]) -> tuple[float, float]:
        assert sr.shape == hr.shape
        return next(values)

    *_, rmse, pi = check(packed, contest / "LR", contest / "HR", measure=measure, count=3)
    assert not rmse.problem
    assert f"RMSE {math.sqrt((36 + 100 + 196) / 3):.4f}" in rmse.fact
    assert "PI is 3.0000" in pi.fact
    found = problems(packed, contest, hr=contest / "HR", measure=lambda sr, hr: (18.0, 2.0))
    assert found == ["RMSE 18.0000 is above 8 and below 18: it is outside, so S_PI would be 0; choose another model"]


def test_what_cannot_be_measured_is_a_finding(packed: Path, contest: Path) -> None:
    def measure(sr: NDArray[Any], hr: NDArray[Any]) -> tuple[float, float]:
        raise ValueError("NIQE needs 96 pixels a side")

    assert problems(packed, contest, hr=contest / "HR", measure=measure) == [
        "RMSE and PI can be measured: 01.png: NIQE needs 96 pixels a side"
    ]
    (found,) = problems(packed, contest, hr=packed, measure=measure)
    assert "has no HR picture for 01.png, 02.png, 03.png" in found
