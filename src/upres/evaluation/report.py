"""All results in one HTML file: tables, Pareto fronts, rank correlations, comparison figures."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import upres
from upres.errors import MissingExtra, UpresError
from upres.evaluation.results import Result, read_results, write_text

__all__ = ["COSTS", "Correlation", "drawn", "pareto_front", "rank_correlation", "rendered", "write_report"]


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
    """(names, names), -1 to 1; NaN for a measure that is the same for all models."""

    @property
    def closest_to_runtime(self) -> tuple[str, ...]:
        """The measures that predict the order of the runtimes best; none where nothing can be told."""
        values = dict(zip(self.names, self.matrix[self.names.index("runtime_ms")].round(9), strict=True))
        known = [value for name, value in values.items() if name != "runtime_ms" and np.isfinite(value)]
        return tuple(name for name in values if name != "runtime_ms" and known and values[name] == max(known))


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
    ranks = stats.rankdata([[cost[name] for name in COSTS] for cost in whole], axis=0)
    with np.errstate(invalid="ignore"):
        return Correlation(tuple(COSTS), len(whole), np.corrcoef(ranks, rowvar=False))


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

    What several files hold of one model, run by one engine in one precision, is joined; a cost of a model is shown
    beside its quality where name and scale are the same, of several the one that ran alike.

    Args:
        path: the ``.html``.
        files: of `upres.evaluation.results.write_json`.

    Raises:
        UpresError: if a file is not one of results, there are none, or two differ in what they say of the same.
        MissingExtra: if the workbench is not installed.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import scipy  # noqa: F401
    except ImportError as error:
        raise MissingExtra(f"What draws reports ({error.name})", "lab") from None
    contents = [read_results(file) for file in files]
    results = [result for found, _ in contents for result in found]
    if not results:
        raise UpresError(f"{', '.join(map(str, files))}: no results to report")
    costs = [result for number, result in enumerate(results) if result.cost and result not in results[:number]]
    sets: dict[tuple[str, int], dict[str, Result]] = {}
    for result in results:
        if result.means:
            found = sets.setdefault((result.data, result.scale), {})
            found[result.label] = _joined(found[result.label], result) if result.label in found else result
    page = rendered(
        resources.files("upres.evaluation").joinpath("report.html").read_text("utf-8"),
        quantities=COSTS,
        sets=[_set(data, scale, list(found.values()), costs) for (data, scale), found in sets.items()],
        costs=costs,
        correlation=rank_correlation(list({(cost.model, cost.scale): cost.cost or {} for cost in costs}.values())),
        figures=[
            (f"{figure.parent.name}: {figure.stem}", _embedded(figure))
            for figure in dict.fromkeys(figure.resolve() for _, figures in contents for figure in figures)
        ],
    )
    write_text(path, page)


def rendered(template: str, **values: Any) -> str:
    """A page of a Jinja template that may use ``style``, the reports' own, and ``version``."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    style = resources.files("upres.evaluation").joinpath("report.css").read_text("utf-8")
    return environment.from_string(template).render(version=upres.__version__, style=style, **values)


def drawn(draw: Callable[[Any], None], width: float = 5.2, height: float = 3.6) -> str:
    """An SVG, to stand in a page, of what is drawn on a figure of matplotlib's of so many inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "upres", "font.size": 9}):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _joined(first: Result, second: Result) -> Result:
    """What two files say of one model on one data set."""
    if twice := sorted(name for name in first.means if second.means.get(name, first.means[name]) != first.means[name]):
        raise UpresError(
            f"two results of {first.label} on {first.data} x{first.scale} differ in {', '.join(twice)}: "
            "leave one of the files out"
        )
    images = {
        image: {**first.images.get(image, {}), **second.images.get(image, {})}
        for image in dict.fromkeys([*first.images, *second.images])
    }
    return replace(
        first,
        conventions={**first.conventions, **second.conventions},
        means={**first.means, **second.means},
        images=images,
    )


def _cost_of(result: Result, costs: Sequence[Result]) -> dict[str, Any]:
    """What a model costs, as it ran for the result if it was measured so."""
    same = [cost for cost in costs if (cost.model, cost.scale) == (result.model, result.scale)]
    same.sort(key=lambda cost: (cost.precision != result.precision, cost.engine != result.engine))
    return (same[0].cost if same else None) or {}


def _set(data: str, scale: int, results: Sequence[Result], costs: Sequence[Result]) -> dict[str, Any]:
    """What the template shows of one data set."""
    beside = [_cost_of(result, costs) for result in results]
    measures = list(dict.fromkeys(name for result in results for name in result.means))
    quality = next((name for name in ("psnr_y", "psnr_rgb") if name in measures), None)
    plots = []
    for name, quantity in COSTS.items():
        points = {
            number: (cost[name] / quantity.unit, result.means[quality or ""])
            for number, (result, cost) in enumerate(zip(results, beside, strict=True), 1)
            if cost.get(name) is not None and np.isfinite(result.means.get(quality or "", np.nan))
        }
        if len(points) > 1:
            plots.append(_plot(points, quantity.heading, quality or ""))
    return {
        "title": f"{data} ×{scale}",
        "results": results,
        "measures": measures,
        "conventions": {key: text for result in results for key, text in result.conventions.items()},
        "costs": beside,
        "images": list(dict.fromkeys(image for result in results for image in result.images)),
        "plots": plots,
    }


def _plot(points: Mapping[int, tuple[float, float]], cost: str, quality: str) -> str:
    """An SVG of the models, by their numbers in the table, and their front."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        values = list(points.values())
        front = [values[index] for index in pareto_front(values)]
        axes.step(*zip(*front, strict=True), where="post", color="tab:orange", linewidth=1, zorder=1)
        axes.plot(*zip(*values, strict=True), "o", markersize=4, zorder=2)
        for number, point in points.items():
            axes.annotate(str(number), point, xytext=(4, 4), textcoords="offset points")
        axes.set(xlabel=cost, ylabel=f"{quality}, dB")
        axes.margins(0.1)
        least, _ = min(values)
        most, _ = max(values)
        if 0 < 4 * least < most:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(visible=True, alpha=0.3)

    return drawn(draw)


def _embedded(figure: Path) -> str:
    try:
        return "data:image/png;base64," + base64.b64encode(figure.read_bytes()).decode()
    except OSError as error:
        raise UpresError(
            f"{figure}: cannot be read ({error.strerror}); draw it again with `upres eval --crops`"
        ) from None
