"""From files of results to entries: each model's name and what was measured of it.

A file is either a CSV with a header, one column `model` or `team` and measured columns (lines that name an `image` are
of single images and do not count), or the JSON that `upres eval` and `upres cost` write. The columns' names are
`psnr_y`, `psnr_rgb`, `ssim_y`, `rmse`, `niqe`, `ma`, `pi` (means over the images of a data set), `parameters`,
`multiply_adds`, `activations`, `convolutions`, `memory_mb`, `runtime_ms`, and `proposal`; `data` and `scale` say what
a line is for.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from upres.errors import ChallengeError

__all__ = ["Entries", "Entry", "named", "read_entries"]

COSTS = {"parameters", "multiply_adds", "activations", "convolutions", "memory_mb", "runtime_ms"}

Entries = Mapping[str, Mapping[str, float]]
"""Name to measured values, by the columns' names."""


class Entry(dict[str, float]):
    """The measured values of one model; asking for one that is not there says where it should have been."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.sources: list[Path] = []

    def __missing__(self, column: str) -> NoReturn:
        where = ", ".join(map(str, self.sources))
        command = "upres cost" if column in COSTS else f"upres eval --metrics {column}"
        raise ChallengeError(
            f"{where}: {self.name} has no number for {column}; measure it with `{command}`, "
            f"or add a CSV with the columns model and {column}"
        )


@dataclass(frozen=True)
class _Row:
    """What one line or one result says."""

    source: Path
    name: str
    data: str | None
    scale: int | None
    values: dict[str, float]


def read_entries(paths: Iterable[Path], data: str | None = None, scale: int | None = None) -> dict[str, Entry]:
    """Read files of results; what several of them say of one model is joined.

    Args:
        paths: ``.csv`` and ``.json`` files.
        data: the data set whose results count, where there are several; lines that name no
            data set count for each.
        scale: likewise.

    Raises:
        ChallengeError: if a file cannot be read, the data set or scale has to be chosen, or two files
            give different values for the same.
    """
    rows = [row for path in paths for row in _rows(path)]
    rows = _chosen(_chosen(rows, "data", "data set", data), "scale", "scale", scale)
    entries: dict[str, Entry] = {}
    for row in rows:
        entry = entries.setdefault(row.name, Entry(row.name))
        for column, value in row.values.items():
            if entry.setdefault(column, value) != value:
                raise ChallengeError(
                    f"{row.source}: {row.name} has {column} {value:g}, but {entry[column]:g} before; "
                    "leave one of the two out, or give them different names"
                )
        if row.source not in entry.sources:
            entry.sources.append(row.source)
    return entries


def _chosen(rows: list[_Row], field: str, title: str, choice: str | int | None) -> list[_Row]:
    """The rows of one data set or scale, and those that name none."""
    there = sorted({getattr(row, field) for row in rows} - {None})
    known = ", ".join(map(str, there))
    if choice is None and len(there) > 1:
        raise ChallengeError(f"the results are for several {title}s: choose with --{field} one of {known}")
    if choice is not None and choice not in there:
        raise ChallengeError(f"there are no results for the {title} {choice}, only for {known or 'one unnamed'}")
    return [row for row in rows if choice is None or getattr(row, field) in (None, choice)]


def named(entries: Entries, name: str) -> Mapping[str, float]:
    """The entry that others are compared with.

    Raises:
        ChallengeError: if it is not there.
    """
    if name not in entries:
        raise ChallengeError(
            f"there is no entry {name} to compare with among {', '.join(entries)}: "
            "add its results, or name another with --baseline"
        )
    return entries[name]


def _rows(path: Path) -> Iterator[_Row]:
    readers = {".csv": _csv_rows, ".json": _json_rows}
    if path.suffix.lower() not in readers:
        raise ChallengeError(f"{path}: results are a .csv, or a .json of `upres eval`")
    try:
        yield from readers[path.suffix.lower()](path, path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ChallengeError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ChallengeError(f"{path}: is not a text file of results ({error})") from None


def _csv_rows(path: Path, text: str) -> Iterator[_Row]:
    lines = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    lines.fieldnames = columns = [column.strip() for column in lines.fieldnames or ()]
    key = next((column for column in ("model", "team") if column in columns), None)
    if key is None:
        raise ChallengeError(
            f"{path}: needs a header with a column model or team; it has {', '.join(columns) or 'none'}"
        )
    for line in lines:
        if line[key] and not line.get("image"):
            yield _row(path, line[key], line)


def _json_rows(path: Path, text: str) -> Iterator[_Row]:
    try:
        results = [
            (
                str(result["model"]),
                {
                    **(result.get("cost") or {}),
                    **result["means"],
                    **{key: result.get(key) for key in ("data", "scale")},
                },
            )
            for result in json.loads(text)["results"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ChallengeError(f"{path}: is not what `upres eval` writes; make it anew, or give a .csv") from None
    for name, facts in results:
        yield _row(path, name, facts)


def _row(path: Path, name: str, facts: Mapping[str, Any]) -> _Row:
    values = _numbers(facts)
    scale = values.pop("scale", None)
    data = str(facts.get("data") or "") or None
    return _Row(path, name, data, None if scale is None else int(scale), values)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """What is a finite number; the rest cannot be ranked."""
    numbers = {}
    for column, value in values.items():
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            continue
        if math.isfinite(number):
            numbers[column] = number
    return numbers
