"""What was measured, as files: JSON for programs, CSV for tables."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import upres
from upres.errors import UpresError

__all__ = ["Result", "read_results", "write_csv", "write_json", "write_text"]


@dataclass(frozen=True)
class Result:
    """One method, and how it did on one data set, or what it costs, or both."""

    model: str
    scale: int
    data: str = ""
    """The set's name; empty where only the cost was measured."""
    engine: str = ""
    precision: str = ""
    conventions: dict[str, str] = field(default_factory=dict)
    """Measure to how it was made."""
    means: dict[str, float] = field(default_factory=dict)
    """Measure to its mean over the images."""
    images: dict[str, dict[str, float]] = field(default_factory=dict)
    """Image to measure to value."""
    cost: dict[str, Any] | None = None
    """The fields of `upres.evaluation.cost.Cost`."""

    @property
    def label(self) -> str:
        """The method's name, and what ran it."""
        return f"{self.model} ({self.engine}, {self.precision})" if self.engine else self.model


def write_json(path: Path, results: Sequence[Result], figures: Sequence[Path] = ()) -> None:
    """Write results for `read_results`, `upres report` and `upres rank`.

    JSON has no infinity: the PSNR of equal images is null.

    Args:
        path: the file, written atomically.
        results: what was measured.
        figures: comparison figures; their paths are kept relative to the file.
    """
    content = {
        "upres": upres.__version__,
        "results": [_without_infinity(asdict(result)) for result in results],
        "figures": [Path(os.path.relpath(figure, path.parent)).as_posix() for figure in figures],
    }
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: a killed process leaves the old file or the new one."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    part.replace(path)


def read_results(path: Path) -> tuple[list[Result], list[Path]]:
    """Read what `write_json` wrote: the results, and the paths of the figures.

    Raises:
        UpresError: if the file is not such a file.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        known = {item.name for item in fields(Result)}
        results = [
            _with_infinity(Result(**{key: value for key, value in entry.items() if key in known}))
            for entry in content["results"]
        ]
        figures = [path.parent / figure for figure in content.get("figures", [])]
    except OSError as error:
        raise UpresError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UpresError(f"{path}: not a file of results; make one with `upres eval --json`") from None
    return results, figures


def _without_infinity(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_infinity(part) for key, part in value.items()}
    return None if value == math.inf else value


def _with_infinity(result: Result) -> Result:
    def filled(values: Mapping[str, float | None]) -> dict[str, float]:
        return {name: math.inf if value is None else value for name, value in values.items()}

    images = {image: filled(values) for image, values in result.images.items()}
    return replace(result, means=filled(result.means), images=images)


def write_csv(path: Path, results: Iterable[Result]) -> None:
    """Write one line an image, and one for each set's mean, whose image is empty."""
    results = list(results)
    names = list(dict.fromkeys(name for result in results for name in result.means))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["model", "scale", "data", "image", *names])
        writer.writeheader()
        for result in results:
            facts = {"model": result.model, "scale": result.scale, "data": result.data}
            for image, values in result.images.items():
                writer.writerow({**facts, "image": image, **values})
            writer.writerow({**facts, "image": "", **result.means})
