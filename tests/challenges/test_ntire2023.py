import json
from pathlib import Path
from typing import Any

import pytest

from upres.challenges import rank
from upres.challenges.ntire2023 import score


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((shared / "reference/golden/published.json").read_text())["ntire2023_rtsr"]
    return facts


def test_the_organisers_examples(published: dict[str, Any]) -> None:
    for example in published["score_examples_psnr_bicubic_31_697655"]:
        assert score(example["psnr"], example["runtime_ms"], 31.697655) == pytest.approx(example["score"], rel=1e-12)


def test_the_published_scores_follow_from_the_published_values_within_their_rounding(published: dict[str, Any]) -> None:
    bicubic = published["bicubic"]["track1"]["psnr_rgb"]
    half = 0.00501  # values are published to two digits
    for row in published["track1"]:
        psnr, runtime = row["psnr_rgb"], row["runtime_ms_rtx3090_fp16"]
        lowest = score(psnr - half, runtime + half, bicubic + half) - half
        assert lowest <= row["score"] <= score(psnr + half, runtime - half, bicubic - half) + half, row["team"]


def test_the_published_order_of_the_first_track(published: dict[str, Any]) -> None:
    teams = {
        row["team"]: {"psnr_rgb": row["psnr_rgb"], "runtime_ms": row["runtime_ms_rtx3090_fp16"]}
        for row in sorted(published["track1"], key=lambda row: str(row["team"]))
    }
    board = rank("ntire2023", teams | {"bicubic": {"psnr_rgb": published["bicubic"]["track1"]["psnr_rgb"]}})
    official = sorted(published["track1"], key=lambda row: -float(row["score"]))
    assert board.column("model") == [*(row["team"] for row in official), "bicubic"]
    assert board.column("rank") == [*range(1, 24), None]


def test_who_is_not_above_bicubic_has_no_points() -> None:
    entries = {
        "a": {"psnr_rgb": 30, "runtime_ms": 1},
        "b": {"psnr_rgb": 29, "runtime_ms": 9},
        "lanczos": {"psnr_rgb": 30},
    }
    board = rank("ntire2023", entries, "lanczos")
    assert board.column("score") == [0, 0, None]
    assert board.column("rank") == [1, 1, None]
    assert "above that of lanczos" in board.rule


@pytest.mark.parametrize(("psnr", "runtime"), [(30, 0), (30, -1), (30, float("nan")), (5000, 1)])
def test_values_that_cannot_be(psnr: float, runtime: float) -> None:
    with pytest.raises(ValueError, match="above 0 ms"):
        score(psnr, runtime, 29)
