from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from upres.cli.main import app


def upres(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_board_has_the_order_the_rule_and_no_rank_where_there_is_none(tmp_path: Path) -> None:
    table = tmp_path / "teams.csv"
    table.write_text("team,pi,rmse\n[b]old,2.5,11.2\nsharp,1.978,15.3\nfar,1.5,17\n")
    result = upres("rank", "pirm2018", table)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines() if line.strip()]
    assert lines[0] == ["region", "rank", "model", "PI", "RMSE"]
    assert lines[2:5] == [
        ["1", "1", "[b]old", "2.500", "11.20"],
        ["3", "1", "sharp", "1.978", "15.30"],
        ["–", "–", "far", "1.500", "17.00"],
    ]
    assert "PIRM 2018: the lowest PI wins a region" in result.output


def test_wide_boards_are_not_broken(tmp_path: Path) -> None:
    table = tmp_path / "costs.csv"
    header = "model,psnr_rgb,runtime_ms,parameters,multiply_adds,activations,memory_mb"
    table.write_text(
        f"{header}\nimdn,29.13,50,893936,58.53e9,154.14e6,120\nbase,29,114,1517571,166.36e9,292.55e6,610\n"
    )
    result = upres("rank", "aim2020", table, "--baseline", "base")
    assert result.exit_code == 0, result.output
    (imdn,) = [line.split() for line in result.output.splitlines() if " imdn " in line]
    assert imdn[:6] == ["1", "imdn", "29.13", "50.00", "0.439", "1"]
    assert imdn[-3:] == ["120", "0.197", "1"]


def test_the_data_set_is_chosen_and_what_is_missing_named(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("model,data,psnr_rgb,runtime_ms\na,Set5,31,4\na,Set14,29,4\nbicubic,Set5,30,\nbicubic,Set14,28,\n")
    result = upres("rank", "ntire2023", table)
    assert result.exit_code == 2
    assert "choose with --data one of Set14, Set5" in result.output
    result = upres("rank", "ntire2023", table, "--data", "Set5")
    assert "20.00" in result.output
    result = upres("rank", "asc2019", table, "--data", "Set5")
    assert result.exit_code == 2
    assert "table.csv: a has no number for rmse" in result.output
    result = upres("rank", "ntire2023", table, "--data", "Set5", "--baseline", "lanczos")
    assert result.exit_code == 2
    assert "no entry lanczos" in result.output
    scales = tmp_path / "scales.csv"
    scales.write_text("model,scale,psnr_rgb,runtime_ms\na,2,35,4\na,4,31,4\nbicubic,2,34,\nbicubic,4,30,\n")
    assert "20.00" in upres("rank", "ntire2023", scales, "--scale", 4).output
    result = upres("rank", "none", table, "--data", "Set5")
    assert "choose one of asc2019, pirm2018, aim2020, ntire2023" in result.output
