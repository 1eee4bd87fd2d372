"""``upres data``: the data sets of the literature."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upres.cli.errors import shown_to_people

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="List and fetch the data sets of the literature.")


@app.command("list")
def list_() -> None:
    """List the data sets that `upres data fetch` knows."""
    from upres.evaluation.fetch import DATA_SETS

    for name, data_set in DATA_SETS.items():
        typer.echo(f"{name:10} {data_set.page}  {data_set.note}")


@app.command("fetch")
@shown_to_people
def fetch(
    name: Annotated[str, typer.Argument(help="See `upres data list`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to unpack into.")] = Path("data"),
) -> None:
    """Download a data set from its own address, check it and unpack it. A broken download goes on."""
    from upres.cli.bars import Transfer
    from upres.evaluation.fetch import fetch_data_set

    with Transfer() as transfer:
        folders = fetch_data_set(name, out, transfer.advance)
    for folder in folders:
        typer.echo(str(folder))
