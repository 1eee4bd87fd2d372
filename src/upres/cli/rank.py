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
    from upres.challenges import rank, read_entries
    from upres.cli.tables import show

    board = rank(rules, read_entries(results, data, scale), baseline)
    headings, forms = zip(*board.columns, strict=True)
    rows = [
        ["–" if cell is None else format(cell, form) for cell, form in zip(row, forms, strict=True)]
        for row in board.rows
    ]
    show(headings, rows, [board.rule], left={"model"})
