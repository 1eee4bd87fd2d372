"""Timing that can be trusted on a noisy machine: everything in turn, several rounds, medians, ratios of pairs."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from upres.evaluation.results import write_text

__all__ = ["PACKAGES", "Spent", "Times", "interleaved", "measured", "medians", "ratio", "spent_by_upres", "write_times"]

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


@dataclass(frozen=True)
class Spent:
    """What a process took."""

    seconds: float
    core_seconds: float
    """Of all its threads, in user and system mode."""
    mebibytes: float
    """The most that it had in memory."""

    @property
    def utilisation(self) -> float:
        """Share of the machine's cores that were at work."""
        return self.core_seconds / self.seconds / (os.cpu_count() or 1)


def spent_by_upres(*arguments: str | Path, cache: Path | None = None) -> Spent:
    """Run the command in a process of its own.

    Args:
        arguments: as on the command line.
        cache: the folder of caches, instead of the user's.
    """
    command = [str(Path(sys.executable).with_name("upres")), *map(str, arguments)]
    environment = os.environ | ({"XDG_CACHE_HOME": str(cache)} if cache else {})
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {errors}")
    return Spent(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
