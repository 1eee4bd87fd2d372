"""``upres report``: results as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upres.cli.errors import shown_to_people
from upres.cli.outputs import prepare

__all__ = ["command"]


@shown_to_people
def command(
    results: Annotated[list[Path], typer.Argument(help="JSON of `upres eval` and `upres cost`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .html to write.")] = Path("report.html"),
) -> None:
    """Draw tables, Pareto fronts, rank correlations and comparisons into one HTML file."""
    from upres.evaluation.report import write_report

    prepare(out, inputs=results)
    write_report(out, results)
    typer.echo(str(out))
