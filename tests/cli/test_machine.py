import functools
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from upres.cli.main import app
from upres.evaluation import hpcg, hpl, machine
from upres.evaluation.machine import Ceiling, Machine

MACHINE = Machine(
    "an example",
    2,
    ("avx2",),
    (Ceiling("f32", 2, 9e10, 8e10, 7e10, "convolutions"), Ceiling("memory", 2, 2e10, 2e10, 1e10, "copy")),
)


def upres_machine(*words: object) -> Any:
    return CliRunner().invoke(app, ["machine", *(str(word) for word in words)])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "measure", lambda: MACHINE)
    monkeypatch.setattr(hpcg, "measure", functools.partial(hpcg.measure, seconds=0))


def test_everything_is_printed_and_written(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    result = upres_machine("--n", 64, "--grid", 16, "--json", tmp_path / "machine.json")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    for words in ("an example", "90.0 G multiply-adds/s", "20.0 GB/s", "n = 64", "16x16x16", "symmetry PASSED"):
        assert words in shown
    assert "bf16 none" in shown
    assert "FAILED" not in shown
    assert Machine.load(tmp_path / "machine.json") == MACHINE
    facts = json.loads((tmp_path / "machine.json").read_text())
    assert facts["hpl"]["n"] == 64
    assert facts["hpl"]["passed"]
    assert facts["hpcg"]["equations"] == 4096
    assert facts["hpcg"]["valid"]


def test_without_scipy_the_roofline_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    result = upres_machine("--json", tmp_path / "machine.json")
    assert result.exit_code == 0, result.output
    assert "90.0 G multiply-adds/s" in result.output
    assert 'pip install "upres[lab]"' in result.output
    assert json.loads((tmp_path / "machine.json").read_text())["hpl"] is None


def test_a_failed_check_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    monkeypatch.setattr(hpl, "measure", lambda n: hpl.HPL(n, (1.0,), 17.0))
    result = upres_machine("--n", 64, "--grid", 16)
    assert result.exit_code == 1, result.output
    assert "residual 17.0000 FAILED" in result.output


def test_a_grid_that_hpcg_does_not_allow_is_status_2() -> None:
    result = upres_machine("--grid", 20)
    assert result.exit_code == 2
    assert "multiples of 8" in result.output
