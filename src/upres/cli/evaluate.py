"""``upres evaluate``: PSNR of a model over data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upres.cli.errors import shown_to_people

__all__ = ["command"]


@shown_to_people
def command(
    model: Annotated[str, typer.Argument(help="A bundled model, for example fast_x3, or the path of an .onnx.")],
    data: Annotated[list[Path], typer.Argument(help="Folders of HR images, or of image_SRF_<scale> pairs.")],
    images: Annotated[bool, typer.Option("--images", help="Also a line for every image.")] = False,
    engine: Annotated[str, typer.Option(help="What computes: openvino or onnxruntime.")] = "openvino",
    precision: Annotated[str, typer.Option(help="Of the arithmetic: f32 or bf16.")] = "f32",
) -> None:
    """Measure a model's PSNR on data sets, beside bicubic."""
    from upres.evaluation.quality import evaluate
    from upres.runtime import Upscaler

    scale = Upscaler.native_scale(model)
    upscaler = Upscaler(model, scale=scale, engine=engine, precision=precision)
    for number, folder in enumerate(data):
        quality = evaluate(upscaler, folder, scale)
        if number == 0:
            typer.echo(f"{model}, {engine}, {precision}: {quality.convention}")
        for name in quality.psnr if images else ():
            typer.echo(f"  {name:30} {quality.psnr[name]:7.3f}   bicubic {quality.bicubic[name]:7.3f}")
        typer.echo(
            f"{folder.name:32} {quality.mean:7.3f}   bicubic {quality.mean_bicubic:7.3f}   {len(quality.psnr)} images"
        )
