"""Timing that can be trusted on a noisy machine: everything in turn, several rounds, medians, ratios of pairs."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from upres.evaluation.results import write_text

__all__ = ["PACKAGES", "Times", "interleaved", "measured", "medians", "ratio", "write_times"]

Times = dict[str, list[float]]
"""Name to the milliseconds of every round."""

PAUSE = 0.02  # seconds, in which the threads of the work before, which wait in a loop for more, go to sleep
PACKAGES = ("upres", "numpy", "pillow", "openvino", "onnxruntime", "torch")


def measured(works: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """Each round runs every work once, after one round that is not counted."""
    times: Times = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            work()
            if number:
                times[name].append((time.perf_counter() - start) * 1000)
    return times


def medians(times: Times) -> dict[str, float]:
    """Name to median milliseconds."""
    return {name: statistics.median(values) for name, values in times.items()}


def interleaved(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The medians of `measured`."""
    return medians(measured(works, rounds))


def ratio(times: Times, name: str, base: str) -> float:
    """How many times longer one took than another: the median of the rounds' own ratios."""
    return statistics.median(one / other for one, other in zip(times[name], times[base], strict=True))


def write_times(path: Path, times: Times, **facts: Any) -> None:
    """Write times and what else was found as JSON, beside the versions of what was timed."""
    versions = {package: version(package) for package in PACKAGES}
    content = {"versions": versions, **facts, "median_ms": medians(times), "times_ms": times}
    write_text(path, json.dumps(content, indent=1) + "\n")
