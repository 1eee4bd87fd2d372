from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from upres.cli.main import app
from upres.images import Picture, write
from upres.metrics import MaModel


@pytest.fixture
def table(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    lines = ["image,score"]
    for number in range(6):
        noise = random.integers(0, 40 * (number + 1), (84, 84, 3), np.uint8)
        write(tmp_path / f"{number}.png", Picture(noise))
        lines.append(f"{number}.png,{number}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines))
    return path


def test_fit_ma_writes_a_model(table: Path) -> None:
    pytest.importorskip("sklearn")
    out = table.with_name("model.npz")
    words = ["metrics", "fit-ma", str(table), "--out", str(out), "--trees", "7", "--seed", "3"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == str(out)
    assert [len(forest.roots) for forest in MaModel.load(out).forests] == [7, 7, 7]
    quiet = CliRunner().invoke(app, [*words, "--quiet"])
    assert quiet.output == f"{out}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.csv", "--out", "model.npz"], "none.csv: No such file"),
        (["{}", "--out", "."], ". is a folder: name a file in it"),
        (["{}", "--out", "model.npz", "--trees", "0"], "'--trees'"),
        (["{}"], "--out"),
    ],
)
def test_wrong_usage_is_status_2_and_one_sentence(table: Path, words: list[str], says: str) -> None:
    pytest.importorskip("sklearn")
    result = CliRunner().invoke(app, ["metrics", "fit-ma", *(word.format(table) for word in words)])
    assert result.exit_code == 2, result.output
    assert says in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output
