"""``upres upscale``: pictures in, larger pictures out."""

from __future__ import annotations

import gc
import math
import re
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]

Format = StrEnum("Format", ["png", "jpeg", "webp", "avif", "tiff", "bmp", "gif"])
Engine = StrEnum("Engine", ["openvino", "onnxruntime"])
Precision = StrEnum("Precision", ["auto", "int8", "bf16", "f32"])
Denoise = StrEnum("Denoise", ["auto", "on", "off"])


def command(
    inputs: Annotated[list[str], typer.Argument(metavar="PICTURE...", help="Files, folders or patterns like '*.jpg'.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for the results; for one picture also a file.")
    ] = None,
    scale: Annotated[float | None, typer.Option("--scale", "-s", help="How much larger. [default: 4]")] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="The results' size instead of a scale; 1920x or x1080 keep the proportions."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="A family like fast, or one of `upres models`; or the path of an .onnx file."
        ),
    ] = "fast",
    denoise: Annotated[
        Denoise,
        typer.Option(help="Take the model's variant for compressed pictures; auto: for JPEGs of low quality."),
    ] = Denoise.auto,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Also folders in folders.")] = False,
    format: Annotated[
        Format | None, typer.Option("--format", "-f", help="Of the results. [default: PNG; TIFF for TIFF]")
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            "--quality",
            "-q",
            min=1,
            max=100,
            help="For JPEG, WebP and AVIF; 100 is lossless in the last two. [default: 92, 92, 85]",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that exist; they are skipped otherwise.")
    ] = False,
    strip: Annotated[bool, typer.Option("--strip", help="Leave out EXIF, colour profile and resolution.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Pictures in work at the same time.")] = 2,
    engine: Annotated[Engine, typer.Option(help="What computes; onnxruntime is an extra.")] = Engine.openvino,
    precision: Annotated[
        Precision, typer.Option(help="Of the arithmetic; auto: the fastest of this processor that costs no quality.")
    ] = Precision.auto,
    effort: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            help="With --model auto: how far from the smallest network's work to the largest's, in percent; the "
            "hardest parts go first. [default: by the picture]",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Instead: the time that upscaling a picture may take, like 2s or 500ms."),
    ] = None,
    effort_map: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw which network upscaled what; for one picture.")
    ] = None,
    max_megapixels: Annotated[float, typer.Option(help="Refuse larger inputs.")] = 500,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error arose, and which models were taken.")
    ] = False,
) -> None:
    """Make pictures larger.

    A result is called NAME_xSCALE.png (NAME_WxH.png with --size) and lies beside its
    picture, or in the --output folder; a TIFF stays a TIFF. Results that exist are skipped.

    Exit status: 0 all done, 1 some failed, 2 wrong usage.
    """
    from upres.cli.progress import Report
    from upres.errors import UpresError
    from upres.jobs import check_effort_map, collect, run
    from upres.runtime import Upscaler
    from upres.runtime.upscaler import MAX_SCALE

    if size is not None and scale is not None:
        raise typer.BadParameter("give --scale or --size, not both")
    if scale is None:
        scale = 4.0
    if not 0 < scale <= MAX_SCALE:
        raise typer.BadParameter(f"--scale must be above 0 and at most {MAX_SCALE}")
    if not max_megapixels > 0:
        raise typer.BadParameter("--max-megapixels must be above 0")
    if effort is not None and math.isnan(effort):
        raise typer.BadParameter("--effort must be 0 to 100")
    if effort is not None and budget is not None:
        raise typer.BadParameter("give --effort or --budget, not both")
    seconds = _seconds(budget) if budget is not None else None
    fit = _size(size) if size is not None else None
    mark = f"_{size.lower()}" if size else f"_x{scale:g}"

    try:
        work = collect(inputs, mark=mark, output=output, format=format and format.value, recursive=recursive)
        upscaler = Upscaler(
            model,
            scale=1 if fit else scale,
            denoise=denoise.value,
            engine=engine.value,
            precision=precision.value,
            effort=effort,
            budget=seconds,
        )
        if effort_map:
            if len(work) > 1:
                raise UpresError(f"--effort-map draws one picture, and there are {len(work)}")
            check_effort_map(effort_map, work[0], overwrite=overwrite)
            upscaler.check_branches(2 if fit else scale)  # of a size, only the picture will tell the scale
    except UpresError as error:
        if debug:
            raise
        typer.echo(f"upres: {error}", err=True)
        raise typer.Exit(2) from None

    # What ends a process politely ends this one as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = Report(work, quiet)
    results = run(
        work,
        upscaler,
        size=fit,
        format=format and format.value,
        quality=quality,
        overwrite=overwrite,
        strip=strip,
        max_megapixels=max_megapixels,
        workers=min(jobs, len(work)),
        effort_map=effort_map,
        progress=report.advance,
    )
    try:
        with report:
            for result in results:
                report.result(result)
                if debug and result.models:
                    report.line("", "", f"{result.job.source.name}: {', '.join(result.models)}")
    except KeyboardInterrupt:
        typer.echo("upres: stopped; what was not finished is not there", err=True)
        sys.exit(130)
    report.errors(debug)
    gc.freeze()  # what is left goes with the process; to collect it would take a tenth of the time of a picture
    raise typer.Exit(1 if report.failures else 0)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)(ms|s|)", text.strip().lower())
    if not match or not float(match[1]):
        raise typer.BadParameter(f"--budget {text}: write a time like 2s or 500ms")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def _size(text: str) -> Callable[[int, int], tuple[int, int]]:
    """What makes (height, width) of a result from those of a picture."""
    match = re.fullmatch(r"(\d*)x(\d*)", text.lower())
    if not match or text.lower() == "x":
        raise typer.BadParameter(f"--size {text}: write WIDTHxHEIGHT, or 1920x or x1080 to keep the proportions")
    width, height = (int(side) if side else None for side in match.groups())
    if 0 in (width, height):
        raise typer.BadParameter(f"--size {text}: a side must be at least 1")

    def fit(old_height: int, old_width: int) -> tuple[int, int]:
        if width is not None and height is not None:
            return height, width
        if width is not None:
            return max(1, math.floor(old_height * width / old_width + 0.5)), width
        assert height is not None
        return height, max(1, math.floor(old_width * height / old_height + 0.5))

    return fit
