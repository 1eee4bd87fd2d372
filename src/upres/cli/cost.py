"""``upres cost``: what networks and models cost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from upres.cli.errors import shown_to_people
from upres.cli.outputs import prepare

__all__ = ["command"]


@shown_to_people
def command(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Networks (see `upres models --networks`), bundled models, checkpoints or .onnx files.",
        ),
    ],
    size: Annotated[str, typer.Option("--input", metavar="WIDTHxHEIGHT", help="Of the LR image.")] = "256x256",
    engine: Annotated[
        str | None, typer.Option(help="torch, openvino or onnxruntime. [default: openvino for models, else torch]")
    ] = None,
    precision: Annotated[str, typer.Option(help="f32, bf16; int8 of models, f16 on a GPU.")] = "f32",
    threads: Annotated[int | None, typer.Option(min=1, help="At most this many. [default: all]")] = None,
    batch: Annotated[int, typer.Option(min=1, help="LR images at once, with torch.")] = 1,
    warm_up: Annotated[int, typer.Option(min=0, help="Runs that do not count.")] = 2,
    repeats: Annotated[int, typer.Option(min=1, help="Runs that count.")] = 11,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    machine: Annotated[
        Path | None, typer.Option(help="What `upres machine --json` wrote: adds the share of the roofline.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the results, for `upres report` and `upres rank`.")] = None,
) -> None:
    """Count parameters, multiply-adds, activations and convolutions; measure runtime and memory."""
    from dataclasses import asdict

    from upres.cli.bars import Counter
    from upres.cli.tables import show
    from upres.errors import MissingExtra

    try:
        from upres.evaluation.cost import Protocol, measure
    except ImportError as error:
        raise MissingExtra(f"The workbench ({error.name})", "lab") from None
    from upres.evaluation.machine import Machine
    from upres.evaluation.results import Result, write_json

    if not (found := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", size)):
        raise ValueError(f"--input is WIDTHxHEIGHT in pixels, for example 256x256, not {size!r}")
    width, height = map(int, found.groups())
    protocol = Protocol(height, width, engine, precision, threads, batch, warm_up, repeats, device)
    prepare(json)
    ceilings = Machine.load(machine) if machine else None
    with Counter("rounds", warm_up + repeats) as counter:
        costs = measure(names, protocol, ceilings, counter.advance)

    headings = ("", "scale", "parameters", "FLOPs G", "activations M", "convs", "ms", "quartiles", "MiB", "roofline")
    rows = [
        (
            cost.name,
            f"x{cost.scale}",
            f"{cost.parameters:,}",
            f"{cost.multiply_adds / 1e9:.2f}",
            f"{cost.activations / 1e6:.2f}",
            str(cost.convolutions),
            f"{cost.runtime_ms:.1f}",
            "{:.1f}–{:.1f}".format(*cost.quartiles_ms),
            "–" if cost.memory_mb is None else f"{cost.memory_mb:.0f}",
            "–" if cost.roofline is None else f"{cost.roofline:.0%}",
        )
        for cost in costs
    ]
    how = engine or "openvino for models, torch for others"
    note = (
        f"LR {width}x{height} RGB, batch {batch}, {how}, {precision}, {device}, {threads or 'all'} threads; "
        f"{warm_up} runs to warm up, median of {repeats}, interleaved. FLOPs: multiply-adds as AIM 2020 counts them. "
        "MiB: what network and run add to a fresh process."
    )
    show(headings, rows, [note])
    if json:
        results = [
            Result(cost.name, cost.scale, engine=engine or "", precision=precision, cost=asdict(cost)) for cost in costs
        ]
        write_json(json, results)
