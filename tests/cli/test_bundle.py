from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from upres.cli.main import app
from upres.compression import bundling
from upres.images import Picture, read, write
from upres.runtime import load_model


def upres(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_from_models_to_a_picture(
    tmp_path: Path, photograph: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundling, "SIDE", 48)
    folder = tmp_path / "photographs"
    folder.mkdir()
    write(folder / "a.png", Picture(photograph))
    out = tmp_path / "mine_x2.onnx"
    made = upres("bundle", "fine_x2", "fast_x2", "-o", out, "--photographs", folder, "--measure", folder)
    assert made.exit_code == 0, made.output
    assert str(out) in made.output
    card = load_model(out).card
    assert card.name == "mine_x2"
    assert card.quality["photographs"] > 25
    result = upres(folder / "a.png", "-m", out, "-s", 2, "--effort", 30, "-o", tmp_path / "large.png")
    assert result.exit_code == 0, result.output
    assert read(tmp_path / "large.png").pixels.shape == (352, 480, 3)
    judged = upres("eval", out, "-d", folder, "--effort", 30)
    assert judged.exit_code == 0, judged.output
    assert "mine_x2" in judged.output
    assert "multiply-adds by LR pixel" in judged.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fast_x2"], "two or more different models"),
        (["fast_x2", "fine_x4"], "have one scale"),
        (["fast_x2", "none"], "none"),
        (["fast_x2", "fine_x2"], "holds no photographs"),
    ],
)
def test_wrong_usage_is_status_2_and_one_sentence(tmp_path: Path, words: list[str], says: str) -> None:
    result = upres("bundle", *words, "-o", tmp_path / "a.onnx", "--photographs", tmp_path)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []
