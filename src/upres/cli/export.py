"""``upres export``: from weights to a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upres.cli.errors import shown_to_people

if TYPE_CHECKING:
    from upres.runtime import Card

__all__ = ["command", "state_measured"]


@shown_to_people
def command(
    weights: Annotated[Path, typer.Argument(help="A checkpoint, a file that authors released, or a model.")],
    model: Annotated[Path, typer.Argument(help="The .onnx file to write; its name becomes the model's.")],
    scale: Annotated[int | None, typer.Option(help="Of weights that serve several scales, the one to take.")] = None,
    int8: Annotated[
        Path | None, typer.Option(help="Compute in 8-bit integers; a folder of photographs that tell the ranges.")
    ] = None,
    data: Annotated[str, typer.Option(help="What it was trained on, if the model does not say.")] = "",
    recipe: Annotated[str, typer.Option(help="What it was trained with, if the file does not say.")] = "",
    licence: Annotated[str, typer.Option(help="Of the weights, likewise.")] = "",
    measure: Annotated[
        list[Path] | None, typer.Option("--measure", help="Data sets whose PSNR the card shall state (repeatable).")
    ] = None,
) -> None:
    """Write a network's weights as a model that `upres --model` and `upres eval` take."""
    from upres.errors import MissingExtra

    try:
        from upres.compression.export import export
    except ImportError as error:
        raise MissingExtra(f"The workbench ({error.name})", "lab") from None

    card = export(weights, model, scale=scale, int8=int8, data=data, recipe=recipe, licence=licence)
    if measure:
        state_measured(model, card, measure)
    typer.echo(str(model))


def state_measured(model: Path, card: Card, folders: list[Path]) -> None:
    """State on a model's card the PSNR that it reaches on data sets as its weights are, in int8 or f32."""
    from upres.compression.export import state_quality
    from upres.evaluation.quality import qualities
    from upres.runtime import Upscaler

    precision = "int8" if card.precision == "int8" else "f32"
    upscaler = Upscaler(model, scale=card.scale, precision=precision)
    state_quality(model, qualities(upscaler, folders, card.scale))
