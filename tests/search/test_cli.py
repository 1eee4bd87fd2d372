from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from upres.cli.main import app
from upres.networks.checkpoint import facts_of, load_checkpoint
from upres.search.plan import Plan
from upres.search.store import FILE, Store
from upres.training.recipe import load_recipe


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["search", *map(str, arguments)])


@pytest.fixture
def without_training(pretending: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upres.search.workers.LocalWorkers", lambda _: pretending())


@pytest.mark.usefixtures("without_training")
def test_search_report_and_export(search_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "search"
    done = run(search_file, "--out", out, "--set", "evaluations=8")
    assert done.exit_code == 0, done.output
    assert "8/8 candidates" in done.stderr
    assert "rank correlation of PSNR after a training and one 2 times as long: 1.00" in done.stdout
    assert "multiply_adds" in done.stdout
    assert (out / FILE).exists()

    assert run("report", "--search", out).stdout.strip() == str(out / "report.html")
    assert (out / "report.html").exists()

    exported = run("export", 3, "--search", out, "--out", tmp_path / "found")
    assert exported.exit_code == 0, exported.output
    checkpoint, recipe = map(Path, exported.stdout.split())
    assert checkpoint.name == "small_3.safetensors"
    spec, network = load_checkpoint(checkpoint)
    loaded = load_recipe(str(recipe))
    assert loaded.network == spec
    assert loaded.stages[0].steps == 100
    assert loaded.stages[0].optimizer == "soap"
    assert facts_of(checkpoint)["trained"].startswith("8 steps of a search")
    assert network.scale == 2
    load = '[{name="load", checkpoint="x"}]'
    assert load_recipe(str(recipe), [f"stage.0.before={load}"]).stages[0].before[0]["name"] == "load"  # type: ignore[index]


@pytest.mark.usefixtures("without_training")
def test_a_search_is_begun_once_and_then_resumed(search_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "search"
    assert run(search_file, "--out", out).exit_code == 0
    again = run(search_file, "--out", out)
    assert again.exit_code == 2
    assert "holds a search already: go on with --resume" in again.stderr
    resumed = run("--resume", "--out", out)
    assert resumed.exit_code == 0
    assert "rank correlation" in resumed.stdout
    assert "candidates" not in resumed.stderr, "nothing is evaluated again"
    changed = run("--resume", "--out", out, "--set", "seed=4")
    assert changed.exit_code == 2
    assert "leave out the file and all that changes it" in changed.stderr


@pytest.mark.usefixtures("without_training")
def test_what_cannot_be_done_is_said(search_file: Path, tmp_path: Path, plan: Callable[..., Plan]) -> None:
    for arguments, text in (
        (["--resume", "--out", tmp_path / "nothing"], "holds no search; begin one with"),
        (["--out", tmp_path / "x"], "name a search's .toml file"),
        (
            [search_file, "--out", tmp_path / "y", "--set", "space.channels=[]"],
            "there is nothing to choose for channels",
        ),
        ([search_file, "--out", tmp_path / "z", "--set", "constraints.psnr=60"], "psnr of at least 60 dB"),
        (["report", "--search", tmp_path / "nothing"], "holds no search"),
        (["export", 99, "--search", tmp_path / "z"], "there is no candidate 99"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, arguments
        assert text in done.stderr
        assert "Traceback" not in done.stderr
    with Store(tmp_path / "begun") as store:
        assert store.fact("plan") is None
    assert "killed before it began" in run("--resume", "--out", tmp_path / "begun").stderr


def test_help_names_the_commands() -> None:
    shown = run("--help").stdout
    assert all(name in shown for name in ("run", "report", "export"))
