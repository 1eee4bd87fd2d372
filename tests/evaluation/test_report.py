import base64
import re
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


def test_quality_and_cost_of_several_files_meet_in_one_page(tmp_path: Path) -> None:
    figure = tmp_path / "baby.png"
    write(figure, Picture(np.zeros((9, 9, 3), np.uint8)))
    write_json(tmp_path / "quality.json", RESULTS, [figure])
    write_json(tmp_path / "cost.json", COSTED)
    write_report(tmp_path / "report.html", [tmp_path / "quality.json", tmp_path / "cost.json"])
    page = (tmp_path / "report.html").read_text("utf-8")
    (middle,) = re.findall(r"<tr>\s*<td>middle</td>\s*<td>32.00</td>.*?</tr>", page, re.DOTALL)
    assert re.findall(r"<td>([^<]*)</td>", middle)[2:] == ["20.0", "100.0", "6.55", "2.00", "102"]
    assert "&lt;slow&gt;" in page
    assert "<slow>" not in page
    assert page.count("<svg") == len(COSTS)
    assert base64.b64encode(figure.read_bytes()).decode() in page
    assert re.search(r"Closest to runtime here:\s*(activations|memory);", page)
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
    assert correlation.closest_to_runtime in ("activations", "memory_mb")
    assert rank_correlation([result.cost for result in COSTED[:2] if result.cost]) is None


def test_what_cannot_be_reported_is_said(tmp_path: Path) -> None:
    write_json(tmp_path / "none.json", [])
    with pytest.raises(UpresError, match="no results to report"):
        write_report(tmp_path / "report.html", [tmp_path / "none.json"])
    write_json(tmp_path / "gone.json", RESULTS, [tmp_path / "gone.png"])
    with pytest.raises(UpresError, match=r"gone.png: cannot be read .*draw it again"):
        write_report(tmp_path / "report.html", [tmp_path / "gone.json"])
    assert not (tmp_path / "report.html").exists()
