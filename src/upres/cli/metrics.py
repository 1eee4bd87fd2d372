"""``upres metrics``: what metrics need beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upres.cli.errors import shown_to_people

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Models of metrics.")


@app.callback()
def main() -> None:
    """Train the models that no-reference metrics rest on."""


@app.command("fit-ma")
@shown_to_people
def command_fit_ma(
    table: Annotated[Path, typer.Argument(help="A .csv with the columns image (a path) and score.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npz file to write.")],
    trees: Annotated[int, typer.Option(min=1, help="In each of the three forests.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of chance.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train the metric of Ma et al. from images that people have scored."""
    from upres.metrics import fit_ma

    if not out.parent.is_dir():  # say so before the work, not after it
        raise typer.BadParameter(f"there is no folder {out.parent}")
    fit_ma(table, trees=trees, seed=seed, quiet=quiet).save(out)
    typer.echo(str(out))
