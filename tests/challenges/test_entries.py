import json
from pathlib import Path
from typing import Any

import pytest

from upres.challenges import RULES, rank, read_entries
from upres.errors import ChallengeError


def results(path: Path, *rows: tuple[str, str, dict[str, Any], dict[str, Any] | None]) -> Path:
    """A file as `upres eval` writes it."""
    found = [
        {"model": model, "scale": 4, "data": data, "means": means, "images": {}, "cost": cost}
        for model, data, means, cost in rows
    ]
    path.write_text(json.dumps({"upres": "0.1.0", "results": found}))
    return path


def test_a_csv_and_results_of_eval_are_joined_by_name(tmp_path: Path) -> None:
    made = results(
        tmp_path / "eval.json",
        ("fast_x4", "PIRM", {"pi": 2.5, "rmse": 11.0, "psnr_y": None}, {"runtime_ms": 3.5, "engine": "openvino"}),
        ("bicubic", "PIRM", {"pi": 6.8, "rmse": 12.0}, None),
    )
    table = tmp_path / "proposals.csv"
    table.write_bytes("\ufeffteam, proposal ,note\r\nfast_x4,7.5,well written\r\n".encode())
    assert read_entries([made, table]) == {
        "fast_x4": {"pi": 2.5, "rmse": 11.0, "runtime_ms": 3.5, "proposal": 7.5},
        "bicubic": {"pi": 6.8, "rmse": 12.0},
    }


def test_of_several_data_sets_one_is_chosen(tmp_path: Path) -> None:
    made = results(tmp_path / "eval.json", ("a", "Set5", {"pi": 1.0}, None), ("a", "Set14", {"pi": 2.0}, None))
    table = tmp_path / "more.csv"
    table.write_text("model,data,pi\nb,Set5,3\nc,,4\n")
    with pytest.raises(ChallengeError, match="--data one of Set14, Set5"):
        read_entries([made, table])
    assert read_entries([made, table], "Set5") == {"a": {"pi": 1}, "b": {"pi": 3}, "c": {"pi": 4}}
    assert read_entries([made, table], "Set14") == {"a": {"pi": 2}, "c": {"pi": 4}}
    with pytest.raises(ChallengeError, match="no results for the data set BSD100, only for Set14, Set5"):
        read_entries([made, table], "BSD100")


def test_of_several_scales_one_is_chosen(tmp_path: Path) -> None:
    table = tmp_path / "eval.csv"
    table.write_text("model,scale,data,image,pi\nbicubic,2,Set5,,6\nbicubic,4,Set5,,7\nbicubic,4,Set5,baby,9\n")
    proposals = tmp_path / "proposals.csv"
    proposals.write_text("model,proposal\nbicubic,3\n")
    with pytest.raises(ChallengeError, match="several scales: choose with --scale one of 2, 4"):
        read_entries([table])
    assert read_entries([table, proposals], scale=4) == {"bicubic": {"pi": 7, "proposal": 3}}
    with pytest.raises(ChallengeError, match="no results for the scale 3, only for 2, 4"):
        read_entries([table], scale=3)


def test_two_values_for_one_thing_are_refused_unless_equal(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("model,pi\na,2\n")
    second.write_text("model,pi\na,3\n")
    assert read_entries([first, first]) == {"a": {"pi": 2}}
    with pytest.raises(ChallengeError, match=r"b\.csv: a has pi 3, but 2 before"):
        read_entries([first, second])


@pytest.mark.parametrize("rules", list(RULES))
@pytest.mark.parametrize("cell", ["", "fast", "nan", "inf"])
def test_a_number_that_is_missing_is_named_with_its_file(tmp_path: Path, rules: str, cell: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"model,rmse,psnr_rgb\na,{cell},{cell}\nbicubic,9,25\nmsrresnet,{cell},{cell}\n")
    with pytest.raises(
        ChallengeError, match=r"table\.csv: \w+ has no number for \w+; measure it with `upres (eval|cost)"
    ):
        rank(rules, read_entries([table]))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"name,pi\na,2\n", "a column model or team; it has name, pi"),
        ("a.csv", b"", "a column model or team; it has none"),
        ("a.csv", b"\xff\xfe\x00", "is not a text file"),
        ("a.csv", b"model,pi\n" + b"a" * 200_000, "is not a text file"),
        ("a.json", b"[]", "is not what `upres eval` writes"),
        ("a.json", b'{"results": [{"model": "a", "data": "b", "means": 3}]}', "is not what `upres eval` writes"),
        ("a.json", b"{", "is not what `upres eval` writes"),
        ("a.json", b"[" * 100_000, "is not what `upres eval` writes"),
        ("a.txt", b"model,pi\n", "a .csv, or a .json"),
        ("none.csv", None, "cannot be read"),
    ],
)
def test_files_that_are_no_results(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ChallengeError) as error:
        read_entries([tmp_path / name])
    assert says in str(error.value)
    assert name in str(error.value)


def test_rules_and_baselines_that_there_are_not() -> None:
    with pytest.raises(ChallengeError, match="choose one of asc2019, pirm2018, aim2020, ntire2023"):
        rank("ntire2031", {})
    with pytest.raises(ChallengeError, match="compare with no entry"):
        rank("pirm2018", {}, baseline="bicubic")
