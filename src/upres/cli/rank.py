"""``upres rank``: the board of a challenge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upres.cli.errors import shown_to_people

__all__ = ["command"]


@shown_to_people
def command(
    rules: Annotated[str, typer.Argument(help="asc2019, pirm2018, aim2020 or ntire2023.")],
    results: Annotated[
        list[Path],
        typer.Argument(
            help="JSON of `upres eval` and `upres cost`, or CSV with a column model (or team) and columns "
            "of the same names."
        ),
    ],
    data: Annotated[str | None, typer.Option(help="Whose results count, where they are for several data sets.")] = None,
    scale: Annotated[int | None, typer.Option(help="Likewise, where they are for several scales.")] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The entry to compare with. [default: msrresnet for aim2020, bicubic for ntire2023]"
        ),
    ] = None,
) -> None:
    """Rank models by the rules of a challenge.

    asc2019 and pirm2018 need the columns pi and rmse, asc2019 also takes the points of a
    proposal; ntire2023 needs psnr_rgb and runtime_ms; aim2020 these and parameters,
    multiply_adds, activations and memory_mb.
    """
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from upres.challenges import rank, read_entries

    board = rank(rules, read_entries(results, data, scale), baseline)
    table = Table(box=box.SIMPLE)
    for heading, _ in board.columns:
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True)
    for row in board.rows:
        cells = (
            "–" if cell is None else format(cell, form) for cell, (_, form) in zip(row, board.columns, strict=True)
        )
        table.add_row(*map(escape, cells))
    console = Console()
    # A terminal breaks long lines better than the table would break its columns.
    needed = console.measure(table, options=console.options.update(width=1000)).maximum
    console.width = max(console.width, needed)
    console.print(table)
    console.print(board.rule, highlight=False, markup=False, soft_wrap=True)
