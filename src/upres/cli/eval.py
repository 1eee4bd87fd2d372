"""``upres eval``: how good models' pictures are, over data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upres.cli.errors import shown_to_people
from upres.cli.outputs import prepare

if TYPE_CHECKING:
    from upres.evaluation.measures import Measure
    from upres.evaluation.results import Result

__all__ = ["command"]


@shown_to_people
def command(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Bundled models, .onnx files, checkpoints (.safetensors, .pth, .pb), folders of finished pictures, "
            "or bicubic, which is measured anyhow.",
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            "-d",
            help="Folder of HR images, or of image_SRF_<scale> pairs; the set bears its name (repeatable).",
        ),
    ],
    lr: Annotated[
        list[Path] | None, typer.Option("--lr", help="LR images for --data, in its order; else MATLAB's bicubic.")
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option("--scale", "-s", min=1, help="From LR to HR. [default: the model's own, of a family the largest]"),
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="Of psnr_y, ssim_y, psnr_rgb, ssim_rgb, rmse, niqe, ma, pi, lpips.")
    ] = "psnr_y,ssim_y",
    round_luma: Annotated[
        bool, typer.Option("--round-luma", help="PSNR and SSIM on Y rounded to whole numbers, as MATLAB gives it.")
    ] = False,
    niqe_model: Annotated[
        str, typer.Option("--niqe", help="Pristine model: own, published (see `upres metrics fetch`), or a file.")
    ] = "own",
    ma_model: Annotated[
        str, typer.Option("--ma", help="Forests of Ma's metric: published (see `upres metrics fetch`), or a file.")
    ] = "published",
    images: Annotated[bool, typer.Option("--images", help="Also a line for every image.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(help="Keep the pictures in this folder, under <data set>_x<scale>/<model>, and LR beside them."),
    ] = None,
    crops: Annotated[Path | None, typer.Option(help="Draw comparison figures into this folder.")] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IMAGE:LEFT,TOP,WIDTHxHEIGHT",
            help="What --crops shows, of these images only (repeatable). [default: where bicubic errs most]",
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the results, for `upres report` and `upres rank`.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the results as a table.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="openvino, onnxruntime or torch. [default: openvino; torch for checkpoints]")
    ] = None,
    precision: Annotated[str, typer.Option(help="Of the arithmetic: f32; for models also bf16, int8, auto.")] = "f32",
    threads: Annotated[int | None, typer.Option(min=1, help="Of the engine, at most this many.")] = None,
    effort: Annotated[
        float | None, typer.Option(min=0, max=100, help="Of models with several networks; see `upres upscale`.")
    ] = None,
    self_ensemble: Annotated[
        bool,
        typer.Option(
            "--self-ensemble",
            help="Means of what a model makes of the image turned and mirrored in all 8 ways, under its name and a +.",
        ),
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Images at once. [default: one a core]")] = None,
) -> None:
    """Measure models, checkpoints and finished pictures on data sets, beside bicubic."""
    from upres.cli.bars import Counter
    from upres.evaluation.figure import check_regions, draw_comparisons, parse_regions
    from upres.evaluation.measures import MEASURES, Models, Settings
    from upres.evaluation.methods import open_methods
    from upres.evaluation.pairs import find_sets
    from upres.evaluation.quality import evaluate
    from upres.evaluation.results import write_csv, write_json

    names = list(dict.fromkeys(name.strip() for name in metrics.split(",")))
    if unknown := [name for name in names if name not in MEASURES]:
        raise ValueError(f"--metrics knows {', '.join(MEASURES)}, not {', '.join(map(repr, unknown))}")
    if region and not crops:
        raise ValueError("--region says what --crops shows: name a folder with --crops too")
    prepare(json, csv)
    regions = parse_regions(region or [])
    sources = Models(niqe_model, ma_model)
    methods = open_methods(
        models,
        scale,
        engine=engine,
        precision=precision,
        threads=threads,
        effort=effort,
        in_ensemble=self_ensemble,
    )
    sets = {r: find_sets(data, r, lr or []) for r in methods}
    check_regions(regions, [pair for found in sets.values() for pairs in found.values() for pair in pairs])
    results: list[Result] = []
    figures: list[Path] = []
    for r, judged in methods.items():
        settings = Settings(r, round_luma, sources)
        measures = {name: MEASURES[name](settings) for name in names}
        for name, pairs in sets[r].items():
            place = f"{name}_x{r}"
            kept = save / place if save else None
            with Counter("images", len(judged) * len(pairs)) as counter:
                rows = [evaluate(method, pairs, measures, name, kept, workers, counter.advance) for method in judged]
            _print(f"{name} x{r}, {len(pairs)} images", rows, measures, images)
            results += rows
            if crops:
                figures += draw_comparisons(crops / place, judged, pairs, regions)
    if json:
        write_json(json, results, figures)
    if csv:
        write_csv(csv, results)


def _print(title: str, results: Sequence[Result], measures: Mapping[str, Measure], images: bool) -> None:
    from upres.cli.tables import show

    def line(name: str, values: Mapping[str, float]) -> list[str]:
        return [name, *(f"{values[key]:.{measure.digits}f}" for key, measure in measures.items())]

    rows = []
    for result in results:
        rows.append(line(result.label, result.means))
        rows += [line(f"  {image}", values) for image, values in result.images.items() if images]
    notes = [*results[0].conventions.values(), "All of 8-bit images; the means are over images."]
    notes += [
        f"{result.label}: {result.means['multiply_adds']:,.0f} multiply-adds by LR pixel"
        for result in results
        if "multiply_adds" in result.means
    ]
    show(["", *(measure.title for measure in measures.values())], rows, notes, title=title)
