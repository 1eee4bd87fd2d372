"""The search itself: asks the controller, has candidates evaluated, keeps what they came to.

All that it goes on from is in the `Store`: after a kill, a new controller is told again what the old one was told.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from upres.compression.reparameterise import merge
from upres.errors import SearchError
from upres.networks.count import count
from upres.search.controller import Controller, Proposal
from upres.search.genome import Genome
from upres.search.latency import Stopwatch, predicted, signature
from upres.search.plan import COUNTED, Plan
from upres.search.proxy import RUNGS, Job, Start
from upres.search.standing import Standing, objectives_of, standing, violations_of, why_none
from upres.search.store import Candidate, Store
from upres.search.workers import Workers

__all__ = ["Progress", "search"]

Progress = Callable[[Standing], None]


def search(plan: Plan, store: Store, workers: Workers, progress: Progress = lambda _: None) -> Standing:
    """Run a search, or go on with it where it stopped.

    Args:
        plan: the same as before, when it goes on.
        store: its state.
        workers: where candidates are evaluated.
        progress: called after every evaluation.

    Returns:
        How it stands in the end.

    Raises:
        SearchError: if no network of the space meets the constraints, or none that was looked at does.
        UpresError: if photographs or the reference of the latency cannot be used.
    """
    return _Search(plan, store, workers, progress).run()


class _Search:
    """A search while it runs."""

    def __init__(self, plan: Plan, store: Store, workers: Workers, progress: Progress) -> None:
        self.plan, self.store, self.workers, self.progress = plan, store, workers, progress
        self.least: dict[str, float] = {}
        self.counts = lru_cache(maxsize=None)(self._counts)
        self.controller = Controller(
            plan.space,
            plan.controller,
            plan.seed,
            len(plan.objectives),
            len(plan.constraints) + 1,  # that it was trained
            self._allowed,
            [seed.genome for seed in plan.seeds],
        )
        self.starts = {seed.genome: seed.start for seed in plan.seeds}
        self.stopwatch: Stopwatch | None = None
        self.begun, self.done_before = time.monotonic(), self._trained()

    def run(self) -> Standing:
        """All generations, those that are recorded again without their evaluations; then the longer training."""
        generation = 0
        while True:
            candidates = self.store.candidates()
            recorded = [candidate for candidate in candidates if candidate.generation == generation]
            left = self.plan.evaluations - sum(candidate.generation < generation for candidate in candidates)
            if left <= 0:
                break
            # Asked in any case: what the controller draws next depends on what it has drawn.
            proposals = self.controller.ask(min(self.plan.controller.population, left))
            if recorded:
                proposals = [candidate.proposal for candidate in recorded]
            if not proposals:
                if generation == 0:
                    raise SearchError(self._none_drawn())
                break
            if not recorded:
                self._record(generation, proposals)
            self._evaluate(generation)
            self._tell(generation, proposals)
            generation += 1
        if not self._standing().front:
            raise SearchError(why_none(self.plan, self.store.candidates()))
        self._train_longer()
        return self._standing()

    def _record(self, generation: int, proposals: Sequence[Proposal]) -> None:
        starts = [self.starts.get(proposal.genome) if proposal.origin == "seed" else None for proposal in proposals]
        self.store.add(
            generation,
            proposals,
            [self.plan.space.canonical(proposal.genome) for proposal in proposals],
            [dict(self.counts(proposal.genome)) for proposal in proposals],
            [start.weights if start else None for start in starts],
        )

    def _evaluate(self, generation: int) -> None:
        if self.plan.measures_latency:
            self._measure(generation)
        candidates = self.store.candidates()
        waiting = [
            candidate
            for candidate in candidates
            if candidate.generation == generation and candidate.status == "waiting"
        ]
        sources = {candidate.number: self._source(candidate, candidates) for candidate in waiting}
        jobs = [
            self._job(candidate, sources[candidate.number], self._bars(candidate, candidates)) for candidate in waiting
        ]
        for job, outcome in self.workers.run(jobs):
            source = sources[job.number]
            before = source.steps if source and source.generation < generation else 0
            share = RUNGS[len(outcome.rungs) - 1] if outcome.stopped else 1
            number = source.number if source else None
            self.store.finish(job.number, outcome, number, before + int(share * job.stage.steps))
            self.progress(self._standing())

    def _measure(self, generation: int) -> None:
        """The latencies of a generation, before its trainings take the machine's time."""
        assert self.plan.latency is not None
        for candidate in self.store.candidates():
            if candidate.generation != generation or candidate.status != "waiting":
                continue
            milliseconds = candidate.costs.get("latency")
            if milliseconds is None:
                milliseconds = self._latency(candidate)
                self.store.set_latency(candidate.number, candidate.costs, milliseconds)
            limit = self.plan.constraints.get("latency", math.inf)
            if self.plan.latency.limit:
                limit = min(limit, self.plan.latency.limit * self.store.fact("reference_ms"))
            if milliseconds > limit:
                self.store.refuse(candidate.number, f"takes {milliseconds:.4g} ms, more than {limit:.4g}")

    def _latency(self, candidate: Candidate) -> float:
        assert self.plan.latency is not None
        if self.stopwatch is None:
            before = self.store.fact("reference_ms")
            self.stopwatch = Stopwatch(self.plan.latency, Path(self.plan.data.train), before)
            self.store.note("reference_ms", self.stopwatch.milliseconds)
        spec = self.plan.space.decode(candidate.genome)
        with tempfile.TemporaryDirectory() as folder:
            model = self.stopwatch.model(spec, Path(folder))
            key = signature(model, self.plan.latency.height, self.plan.latency.width)
            known = {text: latency.milliseconds for text, latency in self.store.latencies().items()}
            milliseconds = known.get(key) or (predicted(key, known) if self.plan.latency.additive else None)
            if milliseconds is None:
                found = self.stopwatch(model)
                self.store.add_latency(key, found)
                milliseconds = found.milliseconds
        return milliseconds

    def _job(self, candidate: Candidate, source: Candidate | None, bars: tuple[float, ...]) -> Job:
        plan, start = self.plan, None
        if source:
            # A generation is evaluated in any order: what its seeds come with is there from the beginning.
            weights = self.store.weights(source.number, first=source.generation == candidate.generation)
            start = Start(plan.space.decode(source.genome), weights or b"")
        spec = plan.space.decode(candidate.genome)
        return Job(candidate.number, spec, plan.data, plan.stage, plan.seed, plan.proxy.threads, start, bars)

    def _source(self, candidate: Candidate, candidates: Sequence[Candidate]) -> Candidate | None:
        """The candidate whose weights another one begins with: itself, for a seed that has some, or the nearest."""
        if self.store.weights(candidate.number, first=True):
            return candidate
        if not self.plan.proxy.inherit:
            return None
        known = [
            other
            for other in candidates
            if (other.generation < candidate.generation and other.psnr is not None)
            or (other.generation == candidate.generation and self.store.weights(other.number, first=True))
        ]
        distance = self.plan.space.distance
        return min(known, key=lambda other: (distance(other.genome, candidate.genome), other.number), default=None)

    def _bars(self, candidate: Candidate, candidates: Sequence[Candidate]) -> tuple[float, ...]:
        """The PSNR that a candidate must have on the way: that of an earlier one that costs no more, less a margin."""
        if not self.plan.proxy.margin or "psnr" not in self.plan.objectives:
            return (-math.inf,) * len(RUNGS)
        costs = [name for name in self.plan.objectives if name != "psnr"]
        cheaper = [
            other.rungs
            for other in candidates
            if other.generation < candidate.generation
            and len(other.rungs) == len(RUNGS)
            and all(other.costs[name] <= candidate.costs[name] for name in costs)
        ]
        return tuple(
            max((rungs[place] for rungs in cheaper), default=-math.inf) - self.plan.proxy.margin
            for place in range(len(RUNGS))
        )

    def _tell(self, generation: int, proposals: Sequence[Proposal]) -> None:
        told = [candidate for candidate in self.store.candidates() if candidate.generation == generation]
        numbers = [candidate.number for candidate in told]
        objectives = np.array([objectives_of(self.plan, candidate) for candidate in told])
        violations = np.array([violations_of(self.plan, candidate) for candidate in told])
        self.store.reward(numbers, self.controller.tell(numbers, proposals, objectives, violations))

    def _counts(self, genome: Genome) -> dict[str, float]:
        counts = count(merge(self.plan.space.decode(genome).build()))
        found = {name: getattr(counts, name) for name in COUNTED}
        self.least = {name: min(value, self.least.get(name, value)) for name, value in found.items()}
        return found

    def _allowed(self, genome: Genome) -> bool:
        limits = self.plan.counted_limits
        return not limits or all(self.counts(genome)[name] <= limit for name, limit in limits.items())

    def _trained(self) -> int:
        return sum(candidate.status != "waiting" for candidate in self.store.candidates())

    def _standing(self) -> Standing:
        found = standing(self.plan, self.store)
        done = found.evaluated - self.done_before
        left = (time.monotonic() - self.begun) / done * (found.total - found.evaluated) if done else None
        return replace(found, seconds_left=left)

    def _train_longer(self) -> None:
        """A sample over the whole range of PSNR, from the same weights as before, and so many times as long."""
        done = sorted(
            (candidate for candidate in self.store.candidates() if candidate.status == "done"),
            key=lambda candidate: (candidate.psnr, candidate.number),
        )
        size = min(self.plan.proxy.sample, len(done))
        places = np.linspace(0, len(done) - 1, size).round().astype(int).tolist() if size > 1 else []
        known = self.store.longer()
        candidates = {candidate.number: candidate for candidate in done}
        jobs = []
        for candidate in (done[place] for place in places if done[place].number not in known):
            source = candidates.get(candidate.source) if candidate.source else None
            job = self._job(candidate, source, (-math.inf,) * len(RUNGS))
            jobs.append(replace(job, stage=replace(job.stage, steps=job.stage.steps * self.plan.proxy.longer)))
        for job, outcome in self.workers.run(jobs):
            if not outcome.error:
                self.store.add_longer(job.number, outcome)
            self.progress(self._standing())

    def _none_drawn(self) -> str:
        limits = ", ".join(f"{name} = {limit:g}" for name, limit in self.plan.counted_limits.items())
        smallest = ", ".join(
            f"{name} {value:g}" for name, value in self.least.items() if name in self.plan.counted_limits
        )
        return f"no network of the space that was drawn meets the constraints {limits}; the least were {smallest}"
