"""All results in one HTML file: tables, Pareto fronts, rank correlations, comparison figures."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import upres
from upres.errors import MissingExtra, UpresError
from upres.evaluation.results import Result, read_results

__all__ = ["COSTS", "Correlation", "pareto_front", "rank_correlation", "write_report"]


@dataclass(frozen=True)
class Quantity:
    """A cost measure as reports show it."""

    heading: str
    unit: float
    format: str

    def shown(self, value: float | None) -> str:
        """The value with its unit left out, which the heading names."""
        return "–" if value is None else format(value / self.unit, self.format)


COSTS = {
    "runtime_ms": Quantity("runtime, ms", 1, ".1f"),
    "parameters": Quantity("parameters, k", 1e3, ",.1f"),
    "multiply_adds": Quantity("FLOPs, G", 1e9, ".2f"),
    "activations": Quantity("activations, M", 1e6, ".2f"),
    "memory_mb": Quantity("memory, MiB", 1, ".0f"),
}
"""The five measures of AIM 2020, by their names in results."""


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation between the cost measures over a number of models."""

    names: tuple[str, ...]
    models: int
    matrix: NDArray[np.float64]
    """(names, names), -1 to 1."""

    @property
    def closest_to_runtime(self) -> str:
        """The measure that predicts the order of the runtimes best."""
        others = [name for name in self.names if name != "runtime_ms"]
        return max(others, key=lambda name: self.matrix[self.names.index("runtime_ms"), self.names.index(name)])


def rank_correlation(costs: Sequence[Mapping[str, Any]]) -> Correlation | None:
    """How alike the measures order the models, or None for fewer than three models that have them all.

    The AIM 2020 report asks this of its entries and finds activations closest to runtime
    (Zhang et al. 2020, arXiv:2009.06943).

    Args:
        costs: of each model, the measures of `COSTS`.
    """
    from scipy import stats

    whole = [cost for cost in costs if all(cost.get(name) is not None for name in COSTS)]
    if len(whole) < 3:
        return None
    matrix = stats.spearmanr([[cost[name] for name in COSTS] for cost in whole]).statistic
    return Correlation(tuple(COSTS), len(whole), np.atleast_2d(matrix))


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that none other beats, in order of their cost.

    Args:
        points: cost, where less is better, and quality, where more is better.
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1])):
        if not front or points[index][1] > points[front[-1]][1]:
            front.append(index)
    return front


def write_report(path: Path, files: Sequence[Path]) -> None:
    """Write one self-contained HTML file.

    Costs and qualities of a model, which may be in different files, are joined by its name and scale.

    Args:
        path: the ``.html``.
        files: of `upres.evaluation.results.write_json`.

    Raises:
        UpresError: if a file is not one of results, or there are none.
        MissingExtra: if the workbench is not installed.
    """
    try:
        from jinja2 import Environment
    except ImportError:
        raise MissingExtra("What draws reports", "lab") from None
    contents = [read_results(file) for file in files]
    results = [result for found, _ in contents for result in found]
    if not results:
        raise UpresError(f"{', '.join(map(str, files))}: no results to report")
    costs = {(result.model, result.scale): result.cost for result in results if result.cost}
    sets: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        if result.means:
            sets.setdefault((result.data, result.scale), []).append(result)
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resources.files("upres.evaluation").joinpath("report.html").read_text("utf-8"))
    page = template.render(
        version=upres.__version__,
        quantities=COSTS,
        sets=[_set(data, scale, found, costs) for (data, scale), found in sets.items()],
        costs=costs,
        correlation=rank_correlation([cost for cost in costs.values() if cost]),
        figures=[(figure.stem, _embedded(figure)) for _, figures in contents for figure in figures],
    )
    part = path.with_name(path.name + ".part")
    part.write_text(page, "utf-8")
    part.replace(path)


def _set(
    data: str, scale: int, results: Sequence[Result], costs: Mapping[tuple[str, int], dict[str, Any] | None]
) -> dict[str, Any]:
    """What the template shows of one data set."""
    measures = list(dict.fromkeys(name for result in results for name in result.means))
    quality = next((name for name in ("psnr_y", "psnr_rgb") if name in measures), None)
    plots = []
    for name, quantity in COSTS.items():
        points = {
            result.model: (cost[name] / quantity.unit, result.means[quality])
            for result in results
            if quality in result.means and (cost := costs.get((result.model, scale))) and cost.get(name) is not None
        }
        if len(points) > 1:
            plots.append(_plot(points, quantity.heading, quality or ""))
    return {
        "title": f"{data} ×{scale}",
        "results": results,
        "measures": measures,
        "conventions": {key: text for result in results for key, text in result.conventions.items()},
        "costs": [costs.get((result.model, scale)) for result in results],
        "images": list(results[0].images),
        "plots": plots,
    }


def _plot(points: Mapping[str, tuple[float, float]], cost: str, quality: str) -> str:
    """An SVG of the models and their front."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "upres", "font.size": 9}):
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.subplots()
        values = list(points.values())
        front = [values[index] for index in pareto_front(values)]
        axes.step(*zip(*front, strict=True), where="post", color="tab:orange", linewidth=1, zorder=1)
        axes.plot(*zip(*values, strict=True), "o", markersize=4, zorder=2)
        middle = math.sqrt(min(x for x, _ in values) * max(x for x, _ in values))
        for name, point in points.items():
            side, offset = ("right", -5) if point[0] > middle else ("left", 5)
            axes.annotate(name, point, xytext=(offset, 4), textcoords="offset points", ha=side)
        axes.set(xscale="log", xlabel=cost, ylabel=f"{quality}, dB")
        axes.margins(0.08)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(visible=True, alpha=0.3)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _embedded(figure: Path) -> str:
    try:
        return "data:image/png;base64," + base64.b64encode(figure.read_bytes()).decode()
    except OSError as error:
        raise UpresError(
            f"{figure}: cannot be read ({error.strerror}); draw it again with `upres eval --crops`"
        ) from None
