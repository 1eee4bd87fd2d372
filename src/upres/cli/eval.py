"""``upres eval``: PSNR of models over data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upres.cli.errors import shown_to_people

__all__ = ["command"]


@shown_to_people
def command(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Bundled models or families, or the paths of .onnx files.")
    ],
    data: Annotated[
        list[Path],
        typer.Option("--data", "-d", help="Folder of HR images, or of image_SRF_<scale> pairs (repeatable)."),
    ],
    scale: Annotated[
        int | None, typer.Option("--scale", "-s", help="[default: the model's own, of a family the largest]")
    ] = None,
    images: Annotated[bool, typer.Option("--images", help="Also a line for every image.")] = False,
    engine: Annotated[str, typer.Option(help="What computes: openvino or onnxruntime.")] = "openvino",
    precision: Annotated[str, typer.Option(help="Of the arithmetic: f32 or bf16.")] = "f32",
) -> None:
    """Measure the PSNR of models on data sets, beside bicubic."""
    from upres.evaluation.quality import evaluate
    from upres.runtime import Upscaler

    for model in models:
        r = scale or Upscaler.native_scale(model)
        upscaler = Upscaler(model, scale=r, engine=engine, precision=precision)
        for number, folder in enumerate(data):
            quality = evaluate(upscaler, folder, r)
            if number == 0:
                typer.echo(f"{model} x{r}, {engine}, {precision}: {quality.convention}")
            for name in quality.psnr if images else ():
                typer.echo(f"  {name:24} {quality.psnr[name]:7.3f}   bicubic {quality.bicubic[name]:7.3f}")
            mean = f"{quality.mean:7.3f}   bicubic {quality.mean_bicubic:7.3f}   {len(quality.psnr)} images"
            typer.echo(f"  {folder.name:24} {mean}")
