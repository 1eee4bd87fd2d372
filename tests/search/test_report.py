import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from upres.errors import SearchError
from upres.search.plan import Plan
from upres.search.report import ancestors, write_report
from upres.search.run import search
from upres.search.store import Store


def test_a_search_on_one_page(plan: Callable[..., Plan], pretending: Any, tmp_path: Path) -> None:
    small = plan('objectives=["psnr", "multiply_adds", "parameters"]', "constraints.psnr=21")
    with Store(tmp_path) as store:
        found = search(small, store, pretending())
        write_report(tmp_path / "report.html", small, store)
        candidates = store.candidates()
        page = (tmp_path / "report.html").read_text("utf-8")
        write_report(tmp_path / "other.html", small, store, network=12)
    table = page.split("<h2>The front</h2>")[1].split("<tbody>")[1].split("</tbody>")[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[1:]]
    assert [int(row[0]) for row in rows] == [candidate.number for candidate in found.front]
    assert rows[0][1] == f"{found.front[0].psnr:.2f}"
    assert rows[0][-1] == small.space.describe(found.front[0].genome)
    assert "12 of them were trained, for 8 steps or fewer" in page
    assert "Asked for: PSNR of at least 21 dB." in page
    assert page.count("<svg") == 3 + 1 + 1 + 1 + 1  # by two objectives, by three, volume, rewards, genealogy
    for origin in ("random", "natural", "reinforced"):
        count = sum(candidate.origin == origin for candidate in candidates)
        assert f'<td class="name">{origin}</td><td>{count}</td>' in page
    assert "Spearman's rank correlation of the two: 1.00, over 3 networks" in page
    assert f"Genealogy of network {found.front[0].number}<" in page
    assert "Genealogy of network 12<" in (tmp_path / "other.html").read_text("utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the page needs nothing but itself"


def test_ancestors_are_parents_and_those_whose_weights_were_inherited(
    plan: Callable[..., Plan], pretending: Any, tmp_path: Path
) -> None:
    with Store(tmp_path) as store:
        search(plan(), store, pretending())
        candidates = store.candidates()
    last = candidates[-1]
    family = ancestors(candidates, last)
    numbers = {candidate.number for candidate in family}
    assert last in family
    for candidate in family:
        assert {*candidate.parents} <= numbers
        assert candidate.source in {None, *numbers}
    assert ancestors(candidates, replace(candidates[0], source=None)) == [candidates[0]]


def test_a_search_that_runs_or_found_nothing_has_a_report_too(
    plan: Callable[..., Plan], pretending: Any, tmp_path: Path
) -> None:
    hard = plan("constraints.psnr=60")
    with Store(tmp_path) as store:
        with pytest.raises(SearchError, match="nothing of this search has been evaluated yet"):
            write_report(tmp_path / "report.html", hard, store)
        with pytest.raises(KeyboardInterrupt):
            search(hard, store, pretending(6))
        write_report(tmp_path / "report.html", hard, store)
        page = (tmp_path / "report.html").read_text("utf-8")
        assert "2 more are waiting" in page
        assert "The front is empty: none of the 6 networks" in page
        assert "how far the short training can be trusted is not known" in page
        with pytest.raises(SearchError, match="there is no candidate 99: they are numbered from 1 to 8"):
            write_report(tmp_path / "report.html", hard, store, network=99)
