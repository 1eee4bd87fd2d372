"""What ``upres upscale`` shows while it works, and what it says at the end."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from contextlib import suppress
from types import TracebackType
from typing import Any

import typer

from upres.jobs import Job, Result

__all__ = ["Report"]

PATIENCE = 0.5  # seconds before there is a bar: Rich takes a tenth of what a picture does, and short bars only flicker


class Report:
    """A line for every result; on a terminal, of what takes longer, a bar over all files, moving with every tile."""

    def __init__(self, jobs: list[Job], quiet: bool) -> None:
        self.quiet = quiet
        self.failures: list[Result] = []
        self.done = 0
        self.total = len(jobs)
        self.shares: dict[Job, float] = {}
        self.lock = threading.Lock()
        self.bar: Any = None
        terminal = sys.stderr is not None and sys.stderr.isatty()  # None if the shell closed it
        self.bar_from = time.monotonic() + PATIENCE if terminal and not quiet else float("inf")

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.lock:
            self.bar_from = float("inf")
            if self.bar:
                self.bar.stop()

    def advance(self, job: Job, share: float) -> None:
        """Take note of how much of a job is done, from any thread."""
        with self.lock:
            self.shares[job] = share
            if self.bar is None and time.monotonic() > self.bar_from:
                self.bar = _started_bar(self.total)
            if self.bar:
                completed = sum(self.shares.values())
                self.bar.update(self.bar.task_ids[0], completed=completed, files=f"{self.done}/{self.total} files")

    def result(self, result: Result) -> None:
        """Print what became of a job."""
        self.done += 1
        self.advance(result.job, 1.0)
        if result.error is not None:
            self.failures.append(result)
            self.line("failed", "red", str(result.job.source))
            return
        if result.skipped:
            self.line("skipped", "yellow", f"{result.job.target} exists; --overwrite replaces it")
            return
        height, width = result.size
        self.line("done", "green", f"{result.job.target}  {width}x{height}  {result.seconds:.2f} s")
        for notice in result.notices:
            self.line("", "", f"{result.job.source.name}: {notice}")

    def line(self, word: str, colour: str, text: str) -> None:
        """Print a line above the bar."""
        if self.quiet:
            return
        with self.lock:
            if self.bar:
                from rich.text import Text

                self.bar.console.print(Text.assemble((f"{word:8}", colour), text), soft_wrap=True)
            else:
                _say(typer.style(f"{word:8}", colour or None) + text)

    def errors(self, debug: bool) -> None:
        """Say, after everything, what failed and why."""
        if self.failures and self.total > 1:
            _say(f"upres: {len(self.failures)} of {self.total} pictures failed:")
        for failure in self.failures:
            if debug and failure.error is not None:
                _say("".join(traceback.format_exception(failure.error)))
            _say(f"upres: {failure.error}")


def _say(text: str) -> None:
    with suppress(OSError):  # a line that cannot be written costs no picture
        typer.echo(text, err=True)


def _started_bar(total: int) -> Any:
    """Rich's, with one task."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.fields[files]}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bar.add_task("", total=total, files="")
    bar.start()
    return bar
