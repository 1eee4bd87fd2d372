"""What ``upres upscale`` shows while it works, and what it says at the end."""

from __future__ import annotations

import threading
import traceback
from types import TracebackType

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from upres.jobs import Job, Result

__all__ = ["Report"]


class Report:
    """A bar over all files, moving with every tile, and a line for every result."""

    def __init__(self, jobs: list[Job], quiet: bool) -> None:
        self.quiet = quiet
        self.failures: list[Result] = []
        self.console = Console(stderr=True, quiet=quiet, soft_wrap=True, highlight=False)
        self.bar = Progress(
            TextColumn("{task.fields[files]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self.done = 0
        self.total = len(jobs)
        self.task = self.bar.add_task("", total=self.total, files=self._files())
        self.shares: dict[Job, float] = {}
        self.lock = threading.Lock()

    def __enter__(self) -> Report:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def advance(self, job: Job, share: float) -> None:
        """Take note of how much of a job is done, from any thread."""
        with self.lock:
            self.bar.advance(self.task, share - self.shares.get(job, 0.0))
            self.shares[job] = share

    def result(self, result: Result) -> None:
        """Print what became of a job."""
        self.done += 1
        self.advance(result.job, 1.0)
        self.bar.update(self.task, files=self._files())
        if result.error is not None:
            self.failures.append(result)
            self.console.print(f"[red]failed[/]  {escape(str(result.job.source))}")
            return
        if result.skipped:
            self.console.print(f"[yellow]skipped[/] {escape(str(result.job.target))} exists; --overwrite replaces it")
            return
        height, width = result.size
        line = f"{width}x{height}  {result.seconds:.2f} s"
        self.console.print(f"[green]done[/]    {escape(str(result.job.target))}  {line}")
        for notice in result.notices:
            self.console.print(f"        {escape(result.job.source.name)}: {escape(notice)}")

    def errors(self, debug: bool) -> None:
        """Say, after everything, what failed and why."""
        if self.failures and self.total > 1:
            typer.echo(f"upres: {len(self.failures)} of {self.total} pictures failed:", err=True)
        for failure in self.failures:
            if debug and failure.error is not None:
                typer.echo("".join(traceback.format_exception(failure.error)), err=True)
            typer.echo(f"upres: {failure.error}", err=True)

    def _files(self) -> str:
        return f"{self.done}/{self.total} files"
