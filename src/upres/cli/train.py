"""``upres train``: run a recipe."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from upres.cli.errors import shown_to_people

__all__ = ["command"]

Accelerator = StrEnum("Accelerator", ["auto", "cpu", "cuda", "mps"])


@shown_to_people
def command(
    recipe: Annotated[str, typer.Argument(help="A .toml file, or the name of one that ships, for example fast_x3.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; an unfinished run in it goes on.")],
    data: Annotated[str | None, typer.Option(help="Folder of HR photographs; short for --set data.train=.")] = None,
    validation: Annotated[str | None, typer.Option(help="Likewise for data.validation.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe: stage.0.steps=1000.")
    ] = None,
    accelerator: Annotated[Accelerator, typer.Option(help="What computes.")] = Accelerator.auto,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Two minutes that show whether it learns: the recipe's [smoke].")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train a network. Killed at any moment, the same command goes on where it stopped."""
    from upres.errors import MissingExtra

    try:
        import torch

        from upres.training.log import summary
        from upres.training.recipe import folders, load_recipe
        from upres.training.trainer import train
    except ImportError as error:
        raise MissingExtra(f"The workbench ({error.name})", "lab") from None
    if threads:
        torch.set_num_threads(threads)
    loaded = load_recipe(recipe, [*(change or []), *folders(data, validation)], smoke=smoke)
    checkpoint = train(loaded, out, accelerator=accelerator.value, log_every=10 if smoke else 100, quiet=quiet)
    typer.echo(f"{checkpoint}: {summary(out)}")
