"""A search as one HTML file, for readers who have not run it."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from upres.errors import SearchError
from upres.evaluation.report import drawn, rendered
from upres.evaluation.results import write_text
from upres.search.plan import COSTS, Plan
from upres.search.proxy import rank_correlation
from upres.search.standing import front_of, hypervolume_of, reference_of, why_none
from upres.search.store import Candidate, Store

__all__ = ["ancestors", "shown", "write_report"]


@dataclass(frozen=True)
class Quantity:
    """An objective as reports show it."""

    name: str
    symbol: str
    unit: float
    format: str

    @property
    def heading(self) -> str:
        """For a column or an axis."""
        return f"{self.name}, {self.symbol}"

    def told(self, value: float) -> str:
        """A value in a sentence."""
        return f"{value / self.unit:.4g} {self.symbol}"


QUANTITIES = {
    "psnr": Quantity("PSNR", "dB", 1, ".2f"),
    "multiply_adds": Quantity("multiply-adds", "G", 1e9, ".2f"),
    "parameters": Quantity("parameters", "k", 1e3, ",.1f"),
    "activations": Quantity("activations", "M", 1e6, ".1f"),
    "latency": Quantity("latency", "ms", 1, ".2f"),
}
ORIGINS = {"seed": "tab:green", "random": "tab:gray", "natural": "tab:blue", "reinforced": "tab:orange"}
"""Where networks come from, and the colours for it."""


def _value(name: str, candidate: Candidate) -> float | None:
    value = candidate.psnr if name == "psnr" else candidate.costs.get(name)
    return None if value is None else value / QUANTITIES[name].unit


def shown(name: str, candidate: Candidate) -> str:
    """An objective's value, in the unit that `QUANTITIES` gives it."""
    value = _value(name, candidate)
    return "–" if value is None else format(value, QUANTITIES[name].format)


def write_report(path: Path, plan: Plan, store: Store, network: int | None = None) -> None:
    """Write one self-contained HTML file.

    Args:
        path: the ``.html``, written atomically.
        plan: of the search.
        store: likewise.
        network: the number of the candidate whose genealogy is drawn; None for the front's best in PSNR.

    Raises:
        SearchError: if nothing has been evaluated yet, or there is no such candidate.
    """
    candidates = store.candidates()
    judged = [candidate for candidate in candidates if candidate.status != "waiting"]
    if not judged:
        raise SearchError("nothing of this search has been evaluated yet; try again in a while")
    if network is not None and network not in range(1, len(candidates) + 1):
        raise SearchError(f"there is no candidate {network}: they are numbered from 1 to {len(candidates)}")
    best = front_of(plan, judged)
    chosen = candidates[network - 1] if network else (best or judged)[0]
    fronts = _fronts(plan, judged)
    longer = store.longer()
    proxy = [(candidates[number - 1].psnr or 0.0, psnr) for number, psnr in longer.items()]
    reference = reference_of(plan, judged)
    page = rendered(
        resources.files("upres.search").joinpath("report.html").read_text("utf-8"),
        plan=plan,
        genomes=float(np.prod([len(gene.choices) for gene in plan.space.genes], dtype=float)),
        judged=judged,
        waiting=len(candidates) - len(judged),
        minutes=sum(candidate.seconds for candidate in judged) / 60,
        costs=[name for name in ("psnr", *COSTS) if _value(name, judged[0]) is not None or name in plan.objectives],
        quantities=QUANTITIES,
        shown=shown,
        front=best,
        why_none="" if best else why_none(plan, judged),
        projections=_projections(plan, judged, fronts),
        volume=_volume(plan, judged),
        reference=[]
        if reference is None
        else [
            f"{QUANTITIES[name].name} {QUANTITIES[name].told(abs(value))}"
            for name, value in zip(plan.objectives, reference, strict=True)
        ],
        origins=_origins(judged, fronts),
        rewards=_rewards(judged),
        longer={number: (candidates[number - 1], psnr) for number, psnr in longer.items()},
        correlation=rank_correlation(*zip(*proxy, strict=True)) if proxy else None,
        chosen=chosen,
        ancestry=_genealogy(ancestors(candidates, chosen), chosen),
        latency_ms=store.fact("reference_ms"),
    )
    write_text(path, page)


def ancestors(candidates: Sequence[Candidate], chosen: Candidate) -> list[Candidate]:
    """A candidate and all that it comes from: parents, and those whose weights were inherited; in order."""
    found, open_ = {chosen.number}, [chosen]
    while open_:
        candidate = open_.pop()
        for number in (*candidate.parents, *([candidate.source] if candidate.source else [])):
            if number not in found:
                found.add(number)
                open_.append(candidates[number - 1])
    return [candidates[number - 1] for number in sorted(found)]


def _fronts(plan: Plan, judged: Sequence[Candidate]) -> list[list[Candidate]]:
    """The front after every generation."""
    last = max(candidate.generation for candidate in judged)
    return [
        front_of(plan, [candidate for candidate in judged if candidate.generation <= generation])
        for generation in range(last + 1)
    ]


def _projections(plan: Plan, judged: Sequence[Candidate], fronts: Sequence[Sequence[Candidate]]) -> list[str]:
    """The candidates by any two objectives, and by three."""
    trained = [candidate for candidate in judged if candidate.psnr is not None]
    if not trained:
        return []
    generations = [candidate.generation for candidate in trained]
    picked = sorted({0, (len(fronts) - 1) // 2, len(fronts) - 1})

    def column(name: str, some: Sequence[Candidate]) -> list[float]:
        return [_value(name, candidate) or 0.0 for candidate in some]

    def flat(first: str, second: str) -> Any:
        def draw(figure: Any) -> None:
            axes = figure.subplots()
            points = axes.scatter(column(first, trained), column(second, trained), c=generations, s=16, zorder=3)
            figure.colorbar(points, label="generation", ticks=sorted(set(generations)))
            for generation, style in zip(picked, (":", "--", "-")[-len(picked) :], strict=True):
                front = sorted(zip(column(first, fronts[generation]), column(second, fronts[generation]), strict=True))
                if front:
                    axes.plot(
                        *zip(*front, strict=True), style, color="tab:red", label=f"front of generation {generation}"
                    )
            for candidate in fronts[-1]:
                place = (_value(first, candidate), _value(second, candidate))
                axes.annotate(str(candidate.number), place, xytext=(4, 4), textcoords="offset points")
            axes.set(xlabel=QUANTITIES[first].heading, ylabel=QUANTITIES[second].heading)
            axes.margins(0.1)
            axes.grid(visible=True, alpha=0.3)
            if any(fronts[generation] for generation in picked):
                axes.legend(fontsize=7)

        return draw

    def spatial(names: tuple[str, ...]) -> Any:
        def draw(figure: Any) -> None:
            axes = figure.add_subplot(projection="3d")
            axes.scatter(*(column(name, trained) for name in names), c=generations, s=16)
            axes.scatter(*(column(name, fronts[-1]) for name in names), s=50, facecolors="none", edgecolors="tab:red")
            axes.set(**{f"{axis}label": QUANTITIES[name].heading for axis, name in zip("xyz", names, strict=True)})
            axes.set_box_aspect(None, zoom=0.82)

        return draw

    costs_first = sorted(plan.objectives, key=lambda name: name == "psnr")
    pairs = [drawn(flat(*pair)) for pair in itertools.combinations(costs_first, 2)]
    triples = [drawn(spatial(triple), 5.2, 4.4) for triple in itertools.combinations(costs_first, 3)]
    return [*pairs, *triples]


def _volume(plan: Plan, judged: Sequence[Candidate]) -> str:
    volumes = [hypervolume_of(plan, judged[:end], reference_of(plan, judged)) for end in range(1, len(judged) + 1)]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.step(range(1, len(volumes) + 1), volumes, where="post")
        for candidate, following in itertools.pairwise(judged):
            if candidate.generation != following.generation:
                axes.axvline(following.number - 0.5, color="tab:gray", linewidth=0.5, alpha=0.5)
        axes.set(xlabel="candidates evaluated", ylabel="hypervolume")
        axes.grid(visible=True, alpha=0.3)

    return drawn(draw)


def _origins(judged: Sequence[Candidate], fronts: Sequence[Sequence[Candidate]]) -> list[dict[str, Any]]:
    """What became of the networks of each origin."""
    entered = {candidate.number for front in fronts for candidate in front}
    last = {candidate.number for candidate in fronts[-1]}
    rows = []
    for origin in ORIGINS:
        some = [candidate for candidate in judged if candidate.origin == origin]
        rewards = [candidate.reward for candidate in some if candidate.reward is not None]
        if some:
            rows.append(
                {
                    "origin": origin,
                    "count": len(some),
                    "entered": sum(candidate.number in entered for candidate in some),
                    "last": sum(candidate.number in last for candidate in some),
                    "stopped": sum(candidate.status == "stopped" for candidate in some),
                    "lost": sum(candidate.status in ("refused", "failed") for candidate in some),
                    "reward": statistics.fmean(rewards) if rewards else None,
                }
            )
    return rows


def _rewards(judged: Sequence[Candidate]) -> str:
    """The mean reward of each origin, by generation."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for origin, colour in ORIGINS.items():
            by_generation: dict[int, list[float]] = {}
            for candidate in judged:
                if candidate.origin == origin and candidate.reward is not None:
                    by_generation.setdefault(candidate.generation, []).append(candidate.reward)
            if by_generation:
                means = [statistics.fmean(values) for values in by_generation.values()]
                axes.plot(list(by_generation), means, "o-", color=colour, label=origin, markersize=3)
        axes.set(xlabel="generation", ylabel="mean reward")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=True, alpha=0.3)
        if axes.has_data():
            axes.legend(fontsize=7)

    return drawn(draw)


def _genealogy(family: Sequence[Candidate], chosen: Candidate) -> str:
    """A graph: generations from left to right, lines from parents to children."""
    rows: dict[int, list[Candidate]] = {}
    for candidate in family:
        rows.setdefault(candidate.generation, []).append(candidate)
    columns = {generation: place for place, generation in enumerate(rows)}
    tallest = max(map(len, rows.values()))
    places = {
        candidate.number: (columns[generation], (tallest - len(some)) / 2 + place)
        for generation, some in rows.items()
        for place, candidate in enumerate(some)
    }

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for candidate in family:
            end = places[candidate.number]
            for number in candidate.parents:
                axes.plot(*zip(places[number], end, strict=True), color="tab:gray", linewidth=1, zorder=1)
            if candidate.source and candidate.source != candidate.number:
                start = places[candidate.source]
                way = {"arrowstyle": "->", "linestyle": "--", "color": "tab:purple", "connectionstyle": "arc3,rad=0.15"}
                axes.annotate("", end, start, arrowprops=way, zorder=2)
            text = f"{candidate.number}\n{shown('psnr', candidate)}"
            box = {
                "boxstyle": "round",
                "facecolor": "white",
                "edgecolor": ORIGINS[candidate.origin],
                "linewidth": 2.5 if candidate is chosen else 1.2,
            }
            axes.text(*end, text, ha="center", va="center", bbox=box, zorder=3, fontsize=8)
        axes.set(xlim=(-0.5, len(rows) - 0.5), ylim=(-0.6, tallest - 0.4), yticks=[])
        axes.set_xticks(range(len(rows)), [f"generation {generation}" for generation in rows])
        axes.spines[["top", "left", "right"]].set_visible(False)

    return drawn(draw, max(4.0, 1.6 * len(rows)), max(1.6, 0.75 * tallest + 0.6))
