from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from upres.challenges.asc2019 import COUNT, ROOT
from upres.cli.main import app
from upres.images import Picture, write


def upres(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_pack_then_check_then_spoil(tmp_path: Path, of_kind: Any) -> None:
    lr, out = tmp_path / "LR", tmp_path / "out"
    lr.mkdir()
    for name in ("01", "02"):
        write(lr / f"{name}.png", Picture(of_kind(3, np.uint8, 9, 12)))
    result = upres("asc2019", "pack", "--lr", lr, "--out", out)
    assert result.exit_code == 2
    assert f"holds 2 pictures, not {COUNT}" in result.output
    arguments = ("asc2019", "pack", "--model", "fast", "--lr", lr, "--out", out, "--count", 2)
    result = upres(*arguments)
    assert result.exit_code == 0, result.output
    assert "48x36" in result.output
    again = upres(*arguments)
    assert again.exit_code == 2
    assert "is there already" in again.output
    assert upres(*arguments, "--overwrite").exit_code == 0

    looked = upres("asc2019", "check", out, "--lr", lr, "--count", 2)
    assert looked.exit_code == 0, looked.output
    assert {line.split()[0] for line in looked.output.splitlines()} == {"OK"}
    (out / ROOT / "HR_images" / "02.png").unlink()
    looked = upres("asc2019", "check", out / ROOT, "--lr", lr, "--count", 2)
    assert looked.exit_code == 1
    (wrong,) = [line for line in looked.output.splitlines() if not line.startswith("OK")]
    assert wrong.startswith("wrong  HR_images holds the 2 pictures")
    assert wrong.endswith("02.png missing: pack again")


def test_a_picture_that_fails_is_named_and_the_status_tells(tmp_path: Path, of_kind: Any) -> None:
    write(tmp_path / "01.png", Picture(of_kind(3, np.uint8, 9, 12)))
    (tmp_path / "02.png").write_bytes(b"nothing")
    result = upres("asc2019", "pack", "--lr", tmp_path, "--out", tmp_path / "out", "--count", 2)
    assert result.exit_code == 1
    assert "02.png: not a picture" in result.output
    assert not (tmp_path / "out" / ROOT / "script" / "upscale.py").exists()
