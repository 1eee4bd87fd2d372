"""Bars that commands of the workbench show on a terminal while they work."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

__all__ = ["Counter", "Transfer"]


class _Bar:
    """A bar on a terminal that goes when it is done."""

    def __init__(self, *columns: ProgressColumn, total: float | None) -> None:
        console = Console(stderr=True)
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task("", total=total)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()


class Counter(_Bar):
    """Counts a known number of equal things."""

    def __init__(self, what: str, total: int) -> None:
        counted = TextColumn("{task.completed:.0f}/{task.total:.0f} " + what)
        super().__init__(counted, BarColumn(), TimeRemainingColumn(), total=total)

    def advance(self) -> None:
        """One more is done; from any thread."""
        self.bar.advance(self.task)


class Transfer(_Bar):
    """Counts the bytes of a download."""

    def __init__(self) -> None:
        super().__init__(DownloadColumn(), BarColumn(), TransferSpeedColumn(), TimeRemainingColumn(), total=None)

    def advance(self, there: int, total: int) -> None:
        """So many bytes are there, of so many (0 if unknown)."""
        self.bar.update(self.task, completed=there, total=total or None)
