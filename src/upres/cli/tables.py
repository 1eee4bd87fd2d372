"""How commands of the workbench print tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["show"]


def show(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    notes: Iterable[str] = (),
    *,
    title: str | None = None,
    left: Collection[str] = (),
) -> None:
    """Print a table and, below it, what its numbers mean.

    Args:
        headings: of the columns; the first column is set left, the others right.
        rows: a cell for every column.
        notes: a sentence or more each.
        title: above the table.
        left: headings of other columns that are set left.
    """
    table = Table(box=box.SIMPLE, title=title, title_justify="left", title_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number == 0 or heading in left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(escape, row))
    console = Console(highlight=False)
    # A terminal breaks long lines better than the table would break its columns.
    needed = console.measure(table, options=console.options.update(width=1000)).maximum
    console.width = max(console.width, needed)
    console.print(table)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
