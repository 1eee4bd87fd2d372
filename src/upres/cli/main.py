"""The command's entry: ``upres PICTURES`` is short for ``upres upscale PICTURES``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import upres
from upres.cli import asc2019, cost, data, export, machine, metrics, models, rank, train, upscale
from upres.cli import eval as evaluation

__all__ = ["app"]


class _UpscaleByDefault(TyperGroup):
    """Takes a first word that is neither a command nor an option of the group for a picture."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {"--help", "--version", "--install-completion", "--show-completion"}
        if args and args[0] not in self.commands and args[0] not in own:
            args = ["upscale", *args]
        return list(super().parse_args(ctx, args))


app = typer.Typer(cls=_UpscaleByDefault, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"upres {upres.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Make pictures larger and sharp.

    upres photo.jpg            writes photo_x4.png beside it

    upres --scale 2 holiday/   does all pictures of a folder

    `upres upscale --help` explains all options for pictures.
    """


app.command("upscale")(upscale.command)
app.command("models")(models.command)
app.command("eval")(evaluation.command)
app.command("train")(train.command)
app.command("export")(export.command)
app.command("rank")(rank.command)
app.add_typer(metrics.app, name="metrics")
app.add_typer(data.app, name="data")
app.add_typer(asc2019.app, name="asc2019")
app.command("cost")(cost.command)
app.command("machine")(machine.command)
