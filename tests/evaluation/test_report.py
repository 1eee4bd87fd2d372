import base64
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from upres.errors import UpresError
from upres.evaluation.report import COSTS, pareto_front, rank_correlation, write_report
from upres.evaluation.results import Result, write_json
from upres.images import Picture, write


def cost(runtime: float, activations: float, parameters: float) -> dict[str, object]:
    return {
        "runtime_ms": runtime,
        "quartiles_ms": [runtime * 0.9, runtime * 1.1],
        "activations": activations,
        "parameters": parameters,
        "multiply_adds": parameters * 65536,
        "memory_mb": 100 + activations / 1e6,
        "convolutions": 10,
        "roofline": None,
        "protocol": {"width": 256, "height": 256, "batch": 1, "precision": "f32", "device": "cpu"},
    }


RESULTS = [
    Result(
        name, 4, "Set5", means={"psnr_y": psnr}, images={"baby": {"psnr_y": psnr}}, conventions={"psnr_y": "PSNR: dB"}
    )
    for name, psnr in (("bicubic", 28.43), ("small", 31.0), ("middle", 32.0), ("<slow>", 31.5))
]
COSTED = [
    Result("small", 4, cost=cost(10, 1e6, 9e5)),
    Result("middle", 4, cost=cost(20, 2e6, 1e5)),
    Result("<slow>", 4, cost=cost(30, 3e6, 5e5)),
]


def rows(page: str, title: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    table = page[page.index(f"<h2>{title}</h2>") :].split("<tbody>")[1].split("</tbody>")[0]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[1:]]


def test_quality_and_cost_of_several_files_meet_in_one_page(tmp_path: Path) -> None:
    figure = tmp_path / "baby.png"
    write(figure, Picture(np.zeros((9, 9, 3), np.uint8)))
    write_json(tmp_path / "quality.json", RESULTS, [figure])
    write_json(tmp_path / "cost.json", COSTED)
    write_report(tmp_path / "report.html", [tmp_path / "quality.json", tmp_path / "cost.json"])
    page = (tmp_path / "report.html").read_text("utf-8")
    assert rows(page, "Set5 ×4")[2] == ["3", "middle", "32.00", "20.0", "100.0", "6.55", "2.00", "102"]
    assert "&lt;slow&gt;" in page
    assert "<slow>" not in page
    assert page.count("<svg") == len(COSTS)
    assert base64.b64encode(figure.read_bytes()).decode() in page
    assert "Closest to runtime here: activations, memory;" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the page needs nothing but itself"


def test_the_front_holds_what_none_beats() -> None:
    points = [(1.0, 28.0), (2.0, 31.0), (3.0, 30.0), (3.0, 32.0), (4.0, 32.0)]
    assert pareto_front(points) == [0, 1, 3]
    assert pareto_front([]) == []


def test_the_correlation_is_spearmans() -> None:
    correlation = rank_correlation([result.cost for result in COSTED if result.cost])
    assert correlation is not None
    assert correlation.models == 3
    table = dict(zip(correlation.names, correlation.matrix[correlation.names.index("runtime_ms")], strict=True))
    assert table["activations"] == pytest.approx(1)
    assert table["parameters"] == pytest.approx(-0.5)  # ranks 3 1 2 against 1 2 3
    assert correlation.closest_to_runtime == ("activations", "memory_mb")
    assert rank_correlation([result.cost for result in COSTED[:2] if result.cost]) is None


def test_a_measure_that_is_the_same_for_all_correlates_with_nothing() -> None:
    correlation = rank_correlation([cost(runtime, 1e6, 2e5) for runtime in (1, 2, 3)])
    assert correlation is not None
    assert np.isnan(correlation.matrix[0, 1:]).all()
    assert correlation.closest_to_runtime == ()


def test_what_several_files_say_of_one_model_stands_in_one_line(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.json" for name in ("psnr", "ssim", "again", "other")]
    write_json(files[0], RESULTS)
    write_json(files[1], [replace(RESULTS[0], means={"ssim_y": 0.81}, images={"baby": {"ssim_y": 0.81}})])
    write_json(files[2], RESULTS)
    write_report(tmp_path / "report.html", files[:3])
    table = rows((tmp_path / "report.html").read_text("utf-8"), "Set5 ×4")
    assert [row[1] for row in table] == ["bicubic", "small", "middle", "&lt;slow&gt;"]
    assert table[0][2:4] == ["28.43", "0.8100"]
    assert table[1][2:4] == ["31.00", "–"]
    write_json(files[3], [replace(RESULTS[0], means={"psnr_y": 20.0})])
    with pytest.raises(UpresError, match="two results of bicubic on Set5 x4 differ in psnr_y: leave one"):
        write_report(tmp_path / "report.html", [files[0], files[3]])


def test_every_cost_is_listed_and_the_one_beside_the_quality_ran_alike(tmp_path: Path) -> None:
    runs = (("f32", 8), ("bf16", 4))
    costs = [Result("small", 4, precision=precision, cost=cost(ms, 1, 1)) for precision, ms in runs]
    quality = [replace(RESULTS[1], engine="openvino", precision=precision) for precision in ("bf16", "f32")]
    write_json(tmp_path / "a.json", [*quality, *costs])
    write_report(tmp_path / "report.html", [tmp_path / "a.json"])
    page = (tmp_path / "report.html").read_text("utf-8")
    runtimes = {row[1]: row[3] for row in rows(page, "Set5 ×4")}
    assert runtimes == {"small (openvino, bf16)": "4.0", "small (openvino, f32)": "8.0"}
    assert [row[3] for row in rows(page, "Costs")] == ["8.0", "4.0"]


def test_pictures_that_equal_hr_are_in_tables_but_not_in_plots(tmp_path: Path) -> None:
    equal = [replace(result, means={"psnr_y": math.inf}) for result in RESULTS[1:3]]
    write_json(tmp_path / "a.json", [*equal, *COSTED])
    write_report(tmp_path / "report.html", [tmp_path / "a.json"])
    page = (tmp_path / "report.html").read_text("utf-8")
    assert rows(page, "Set5 ×4")[0][2] == "inf"
    assert "<svg" not in page


def test_what_cannot_be_reported_is_said(tmp_path: Path) -> None:
    write_json(tmp_path / "none.json", [])
    with pytest.raises(UpresError, match="no results to report"):
        write_report(tmp_path / "report.html", [tmp_path / "none.json"])
    write_json(tmp_path / "gone.json", RESULTS, [tmp_path / "gone.png"])
    with pytest.raises(UpresError, match=r"gone.png: cannot be read .*draw it again"):
        write_report(tmp_path / "report.html", [tmp_path / "gone.json"])
    assert not (tmp_path / "report.html").exists()
