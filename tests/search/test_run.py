import math
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upres.errors import SearchError
from upres.search.plan import Plan, load_plan
from upres.search.proxy import Outcome, evaluate
from upres.search.run import search
from upres.search.standing import Standing, front_of, hypervolume_of, objectives_of, standing
from upres.search.store import FILE, Store


def facts(store: Store) -> list[Any]:
    """All that does not depend on a clock."""
    return [replace(candidate, seconds=0) for candidate in store.candidates()]


def test_a_search_ends_with_a_front_and_a_rank_correlation(
    plan: Callable[..., Plan], pretending: Any, tmp_path: Path
) -> None:
    workers = pretending()
    seen: list[Standing] = []
    with Store(tmp_path) as store:
        found = search(plan(), store, workers, seen.append)
        candidates = store.candidates()
        assert found.evaluated == found.total == len(candidates) == 12
        assert [candidate.generation for candidate in candidates] == [0] * 4 + [1] * 4 + [2] * 4
        assert sorted(job.number for job in workers.jobs[:12]) == list(range(1, 13)), "none twice"
        assert found.front == front_of(plan(), candidates) == standing(plan(), store).front
        values = [objectives_of(plan(), candidate) for candidate in candidates]
        for psnr, cost in (objectives_of(plan(), candidate) for candidate in found.front):
            assert not any(other[0] < psnr and other[1] <= cost for other in values)
        assert len(store.longer()) == 3
        assert found.correlation == pytest.approx(1), "where training longer changes nothing"
    assert [job.stage.steps for job in workers.jobs] == [8] * 12 + [16] * 3
    assert [at.evaluated for at in seen] == [*range(1, 13), 12, 12, 12]
    volumes = [at.hypervolume for at in seen]
    assert all(first <= second + 1e-12 for first, second in pairwise(volumes[3:]))


@pytest.mark.parametrize("after", [2, 4, 7, 12, 13])
def test_interrupted_anywhere_it_ends_as_if_it_had_not_been(
    plan: Callable[..., Plan], pretending: Any, tmp_path: Path, after: int
) -> None:
    with Store(tmp_path / "whole") as store:
        search(plan(), store, pretending())
        expected, longer = facts(store), store.longer()
    first, second = pretending(after), pretending()
    with Store(tmp_path / "parts") as store, pytest.raises(KeyboardInterrupt):
        search(plan(), store, first)
    with Store(tmp_path / "parts") as store:
        search(plan(), store, second)
        assert facts(store) == expected
        assert store.longer() == longer
    assert len(first.jobs) + len(second.jobs) == 15
    numbers = [job.number for job in [*first.jobs, *second.jobs] if job.stage.steps == 8]
    assert sorted(numbers) == list(range(1, 13)), "none twice, none lost"


def test_candidates_begin_with_the_weights_of_the_nearest_before_them(
    plan: Callable[..., Plan], pretending: Any, tmp_path: Path
) -> None:
    workers = pretending()
    with Store(tmp_path / "inherit") as store:
        search(plan(), store, workers)
        for candidate in store.candidates():
            if candidate.generation == 0:
                assert candidate.source is None
                assert candidate.steps == 8
                continue
            earlier = [other for other in store.candidates() if other.generation < candidate.generation]
            distance = [plan().space.distance(other.genome, candidate.genome) for other in earlier]
            assert candidate.source is not None
            assert distance[candidate.source - 1] == min(distance)
            assert candidate.steps == 8 + earlier[candidate.source - 1].steps
        starts = {job.number: job.start for job in workers.jobs[:12]}
        source = store.candidates()[11].source
        assert source is not None
        assert starts[12].weights == store.weights(source)
    fresh = pretending()
    with Store(tmp_path / "fresh") as store:
        search(plan("proxy.inherit=false"), store, fresh)
    assert all(job.start is None for job in fresh.jobs)


def test_a_seed_begins_with_its_own_weights(plan: Callable[..., Plan], pretending: Any, tmp_path: Path) -> None:
    space = ["space.channels=[8, 32]", "space.blocks=[1, 2]", "space.convolutions=[1, 2]"]
    seeded = plan(*space, 'seeds=["fast_x2"]', "space.layers=['asymmetric']")
    workers = pretending()
    with Store(tmp_path) as store:
        search(seeded, store, workers)
        first = store.candidates()[0]
        assert (first.origin, first.source, first.steps) == ("seed", 1, 8)
        assert all(candidate.source == 1 for candidate in store.candidates() if candidate.generation == 0)
    (seed,) = seeded.seeds
    assert seed.start is not None
    assert [job.start.weights for job in workers.jobs[:4]] == [seed.start.weights] * 4


def test_what_is_hopeless_is_told_to_the_workers(plan: Callable[..., Plan], pretending: Any, tmp_path: Path) -> None:
    workers = pretending()
    with Store(tmp_path) as store:
        search(plan("proxy.margin=0.5"), store, workers)
        candidates = store.candidates()
    for job in workers.jobs[:12]:
        own = candidates[job.number - 1]
        cheaper = [
            other
            for other in candidates
            if other.generation < own.generation and other.costs["multiply_adds"] <= own.costs["multiply_adds"]
        ]
        expected = max((other.rungs[0] for other in cheaper), default=-math.inf) - 0.5
        assert job.bars[0] == expected
    assert any(job.bars[0] > 0 for job in workers.jobs)


def test_constraints_on_counts_are_met_before_any_training(
    plan: Callable[..., Plan], pretending: Any, tmp_path: Path
) -> None:
    with Store(tmp_path) as store:
        search(plan("constraints.parameters=1500"), store, pretending())
        assert all(candidate.costs["parameters"] <= 1500 for candidate in store.candidates())


def test_a_constraint_that_no_network_meets_is_said_at_once(
    plan: Callable[..., Plan], pretending: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upres.search.controller.DRAWS", 50)
    workers = pretending()
    with (
        Store(tmp_path) as store,
        pytest.raises(
            SearchError, match=r"no network .* meets the constraints parameters = 10; the least .* parameters \d+"
        ),
    ):
        search(plan("constraints.parameters=10"), store, workers)
    assert not workers.jobs


def test_a_psnr_that_no_network_reaches_is_said_in_the_end(
    plan: Callable[..., Plan], pretending: Any, tmp_path: Path
) -> None:
    text = r"none of the 12 networks .* psnr of at least 60 dB \(the best has 2\d.\d\d\); loosen"
    with Store(tmp_path) as store, pytest.raises(SearchError, match=text):
        search(plan("constraints.psnr=60"), store, pretending())


def test_what_fails_is_not_in_the_front_and_says_why(
    plan: Callable[..., Plan], pretending: Any, tmp_path: Path
) -> None:
    class Failing(pretending):  # type: ignore[misc]
        def outcome(self, job: Any) -> Outcome:
            failed = Outcome(error="at step 3: it diverged")
            return failed if job.number % 2 else super().outcome(job)

    with Store(tmp_path) as store:
        found = search(plan(), store, Failing())
        assert {candidate.number % 2 for candidate in found.front} == {0}
        assert store.candidates()[0].status == "failed"
        assert store.candidates()[0].error == "at step 3: it diverged"
        assert all((candidate.source or 2) % 2 == 0 for candidate in store.candidates())
    workers = pretending()
    workers.outcome = lambda _: Outcome(error="it died")
    with Store(tmp_path / "all") as store, pytest.raises(SearchError, match="what failed: it died"):
        search(plan(), store, workers)


def test_latency_is_measured_once_for_a_shape_and_limits_what_is_trained(
    plan: Callable[..., Plan], pretending: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = []

    class Stopwatch:
        def __init__(self, options: Any, folder: Path, milliseconds: float | None) -> None:
            from upres.search.latency import Stopwatch as Real

            self.model = lambda spec, folder: Real.model(self, spec, folder)  # type: ignore[arg-type]
            self.options, self.photographs, self.milliseconds = options, folder, milliseconds or 3.0

        def __call__(self, model: Path) -> Any:
            from upres.runtime import load_model
            from upres.search.latency import Latency

            card = load_model(model).card
            timed.append(card.parameters)
            return Latency(card.parameters / 1000, 0, 0)

    monkeypatch.setattr("upres.search.run.Stopwatch", Stopwatch)
    options = ['objectives=["psnr", "latency"]', 'latency={reference="fast_x2"}', "constraints.latency=2.0"]
    workers = pretending()
    with Store(tmp_path) as store:
        found = search(plan(*options), store, workers)
        candidates = store.candidates()
        assert store.fact("reference_ms") == 3.0
    assert len(timed) == len({*timed}) < 12, "layers and slopes have no share in it"
    assert all(candidate.costs["latency"] <= 2 for candidate in found.front)
    refused = [candidate for candidate in candidates if candidate.costs["latency"] > 2]
    assert refused
    assert all(candidate.status == "refused" and "more than 2" in candidate.error for candidate in refused)
    assert not {job.number for job in workers.jobs} & {candidate.number for candidate in refused}
    timed.clear()
    narrow = ["channels=[8]", "blocks=[1]", "convolutions=[1, 2, 3, 4]", 'downscales=["stride"]', "biases=[1]"]
    narrow += ['layers=["plain"]', "slopes=[0.1]"]
    with Store(tmp_path / "additive") as store:
        few = plan('objectives=["psnr", "latency"]', 'latency={reference="fast_x2", additive=true}')
        search(replace(few, space=plan(*(f"space.{key}" for key in narrow)).space), store, pretending())
        assert len(store.candidates()) == 4
        assert all(
            candidate.costs["latency"] == pytest.approx(candidate.costs["parameters"] / 1000)
            for candidate in store.candidates()
        )
    assert len(timed) < 4, "the parameters of a layer more are the same for all"


def test_hypervolume_is_the_mean_gain_over_the_limits(
    plan: Callable[..., Plan], pretending: Any, tmp_path: Path
) -> None:
    with Store(tmp_path) as store:
        search(plan(), store, pretending())
        candidates = store.candidates()
    psnr, cost = 21.0, 2e9
    volume = hypervolume_of(plan(), candidates, np.array([-psnr, cost]))
    limits = np.linspace(0, cost, 20001)
    gains = [
        max([0.0, *(c.psnr - psnr for c in candidates if c.psnr is not None and c.costs["multiply_adds"] <= limit)])
        for limit in limits[1:]
    ]
    assert volume == pytest.approx(np.mean(gains), rel=1e-3)


def test_a_real_search_that_is_killed_goes_on_to_the_same_end(
    search_file: Path, pretending: Any, tmp_path: Path
) -> None:
    root = Path(__file__).parents[2]
    out = tmp_path / "search"
    code = "from upres.cli.main import app; app()"
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"}

    def started(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, "search", *arguments, "--out", str(out), "--workers", "1"]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def done() -> int:
        if not (out / FILE).exists():
            return 0
        with sqlite3.connect(out / FILE, timeout=10) as database:
            try:
                return int(database.execute("SELECT count(*) FROM candidates WHERE status = 'done'").fetchone()[0])
            except sqlite3.OperationalError:
                return 0

    process = started(str(search_file))
    while done() < 6 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()  # ends when the workers, which write there too, have ended
    kept = done()
    assert 6 <= kept < 12
    with Store(out, readable=True) as store:
        before = {candidate.number: candidate for candidate in store.candidates() if candidate.status == "done"}
    output, errors = started("--resume").communicate()
    assert "rank correlation of PSNR" in output, errors
    with Store(out, readable=True) as store:
        candidates = store.candidates()
        longer = store.longer()
    assert all(candidates[number - 1].seconds == candidate.seconds for number, candidate in before.items())
    assert len(re.findall(r"\d+/12 candidates", errors)) == 12 - kept + 3
    workers = pretending()
    workers.outcome = evaluate
    with Store(tmp_path / "whole") as store:
        search(load_plan(str(search_file)), store, workers)
        expected = [(candidate.genome, candidate.psnr, candidate.source) for candidate in store.candidates()]
        assert store.longer() == longer
    assert [(candidate.genome, candidate.psnr, candidate.source) for candidate in candidates] == expected
