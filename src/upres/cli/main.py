"""The command's entry: ``upres PICTURES`` is short for ``upres upscale PICTURES``."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

import upres

__all__ = ["app"]

COMMANDS = (
    *("upscale", "models", "eval", "train", "export", "bundle", "rank", "report", "cost", "machine"),
    *("search", "metrics", "data", "asc2019"),
)
"""Modules of this package, each with a function ``command`` or, for several commands, an ``app``."""


class _Commands(TyperGroup):
    """Imports a command when it is asked for; takes a first word that is none, and no option, for a picture."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {"--help", "--version", "--install-completion", "--show-completion"}
        if args and args[0] not in COMMANDS and args[0] not in own:
            args = ["upscale", *args]
        return list(super().parse_args(ctx, args))

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            module = import_module(f"upres.cli.{cmd_name}")
            alone = typer.Typer(rich_markup_mode=None)
            if hasattr(module, "app"):
                alone.add_typer(module.app, name=cmd_name)
            else:
                alone.command(cmd_name)(module.command)
            self.commands.update(get_group(alone).commands)
        return super().get_command(ctx, cmd_name)


app = typer.Typer(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


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
