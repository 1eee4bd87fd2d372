"""``upres bundle``: several models in one that spends its work where the picture needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upres.cli.errors import shown_to_people
from upres.cli.export import state_measured

__all__ = ["command"]


@shown_to_people
def command(
    branches: Annotated[list[str], typer.Argument(metavar="MODEL MODEL... ", help="Bundled models or .onnx files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .onnx file to write; its name becomes the model's.")],
    photographs: Annotated[Path, typer.Option("--photographs", help="A folder, by which gains and effort are fitted.")],
    loss: Annotated[
        float, typer.Option(min=0, help="dB of PSNR by which the default effort may fall behind the largest model.")
    ] = 0.03,
    measure: Annotated[
        list[Path] | None, typer.Option("--measure", help="Data sets whose PSNR the card shall state (repeatable).")
    ] = None,
) -> None:
    """Bundle models: the smallest does every picture, larger ones what is hard in it (--effort, --budget)."""
    from upres.errors import MissingExtra

    try:
        from upres.compression.bundling import make_bundle
    except ImportError as error:
        raise MissingExtra(f"The workbench ({error.name})", "lab") from None

    card = make_bundle(branches, out, photographs, loss=loss)
    if measure:
        state_measured(out, card, measure)
    typer.echo(str(out))
