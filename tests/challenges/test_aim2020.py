import json
from pathlib import Path
from typing import Any

import pytest

from upres.challenges import rank
from upres.errors import ChallengeError

BASE = {
    "psnr_rgb": 29.0,
    "runtime_ms": 100.0,
    "parameters": 1_500_000.0,
    "multiply_adds": 166e9,
    "activations": 292e6,
    "memory_mb": 610.0,
}


def entry(**changes: float) -> dict[str, float]:
    return BASE | changes


def test_the_baselines_of_the_report(shared: Path) -> None:
    rows = json.loads((shared / "reference/golden/published.json").read_text())["aim2020_efficient_sr"]["rows"]
    entries = {
        row["team"]: {
            "psnr_rgb": row["psnr_val"],
            "runtime_ms": 1000 * row["runtime_s"],
            "parameters": 1e6 * row["params_M"],
            "multiply_adds": 1e9 * row["flops_G"],
            "activations": 1e6 * row["activations_M"],
            "memory_mb": row["memory_M"],
        }
        for row in rows
        if row["runtime_s"]
    }
    msrresnet, imdn = entries
    board = rank("aim2020", entries, msrresnet)
    assert board.column("model") == [imdn, msrresnet]
    assert board.column("rank") == [1, None]
    shown = [format(cell, form) for cell, (_, form) in zip(board.rows[0][2:], board.columns[2:], strict=True)]
    assert shown[0] == "29.13"
    assert shown[1::3] == ["50.00", "0.893", "58.53", "154.14", "120"]
    assert shown[2::3] == ["0.439", "0.589", "0.352", "0.527", "0.197"]
    kept_out = rank("aim2020", entries, imdn)
    assert kept_out.column("rank") == [None, None]


def test_the_main_track_of_ntire_2022_which_goes_by_runtime_too(shared: Path) -> None:
    rows: list[dict[str, Any]] = json.loads((shared / "reference/golden/published.json").read_text())[
        "ntire2022_efficient_sr"
    ]["rows"]
    ranked = {
        row["team"]: {
            "psnr_rgb": row["psnr_val"],
            "runtime_ms": row["time_ms"],
            "parameters": row["params_M"],
            "multiply_adds": row["flops_G"],
            "activations": row["acts_M"],
            "memory_mb": row["gpu_mem_M"],
        }
        for row in reversed(rows)
        if row["rank"]
    }
    board = rank("aim2020", ranked | {"floor": entry(psnr_rgb=28.95)}, "floor")
    assert board.column("model")[:-1] == [row["team"] for row in rows if row["rank"]]
    smallest = {row[1] for row in board.rows for index in (8, 11, 14, 17) if row[index] == 1}
    assert smallest == {"XPixel (BSRN)", "NJUST_ESR (MobileSR)", "NJU_Jet (FMEN)"}  # parameters; FLOPs; activations


def test_only_who_keeps_the_psnr_is_ranked_in_hundredths_of_a_db() -> None:
    entries = {
        "fast": entry(psnr_rgb=28.99, runtime_ms=1),
        "equal": entry(psnr_rgb=28.996, runtime_ms=50),
        "better": entry(psnr_rgb=29.2, runtime_ms=70),
        "bicubic": {"psnr_rgb": 26.7},
        "msrresnet": BASE,
    }
    board = rank("aim2020", entries)
    assert board.column("model") == ["equal", "better", "fast", "bicubic", "msrresnet"]
    assert board.column("rank") == [1, 2, None, None, None]
    assert board.column("ratio") == [0.5, 0.7, 0.01, None, 1]


def test_every_measure_has_its_own_rank_and_equals_share_one() -> None:
    entries = {
        "a": entry(runtime_ms=1, parameters=3, memory_mb=7),
        "b": entry(runtime_ms=2, parameters=1, memory_mb=7),
        "c": entry(runtime_ms=2, parameters=2, memory_mb=9),
        "msrresnet": BASE,
    }
    rows = {str(row[1]): row for row in rank("aim2020", entries).rows}
    ranks = {name: (row[0], row[5], row[8], row[17]) for name, row in rows.items()}
    assert ranks == {"a": (1, 1, 3, 1), "b": (2, 2, 1, 1), "c": (2, 2, 2, 3), "msrresnet": (None, None, None, None)}


def test_the_baseline_is_named_and_measured() -> None:
    with pytest.raises(ChallengeError, match=r"no entry msrresnet .* among a.*--baseline"):
        rank("aim2020", {"a": BASE})
    with pytest.raises(ValueError, match="a: memory_mb must be above 0"):
        rank("aim2020", {"a": entry(memory_mb=0)}, "a")
