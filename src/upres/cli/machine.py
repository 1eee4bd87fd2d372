"""``upres machine``: the ceilings of this machine, HPL and HPCG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upres.cli.errors import shown_to_people
from upres.cli.outputs import prepare

__all__ = ["command"]


@shown_to_people
def command(
    n: Annotated[
        int | None, typer.Option("--n", min=1, help="Equations of HPL. [default: as many as take two seconds]")
    ] = None,
    grid: Annotated[int, typer.Option(help="Points along each side of HPCG's grid, a multiple of 8.")] = 56,
    json: Annotated[Path | None, typer.Option("--json", help="Also write all results to this file.")] = None,
) -> None:
    """Measure what this machine can do at most: arithmetic, memory, HPL and HPCG. Takes about a minute."""
    from json import dumps

    from rich import box
    from rich.console import Console
    from rich.table import Table

    from upres.errors import MissingExtra
    from upres.evaluation import hpcg, hpl
    from upres.evaluation.machine import MEMORY, PRECISIONS, measure
    from upres.evaluation.results import write_text

    prepare(json)
    gradients, linpack, missing = None, None, ""
    with Console(stderr=True).status("measuring; nothing else should run now"):
        try:
            gradients = hpcg.measure((grid, grid, grid))
            linpack = hpl.measure(n)
        except MissingExtra as error:
            missing = str(error)
        machine = measure()

    table = Table(box=box.SIMPLE, show_header=False)
    table.add_row("processor", machine.processor, " ".join(machine.instruction_sets))
    table.add_row("cores", str(machine.cores))
    for ceiling in machine.ceilings:
        unit = "GB/s" if ceiling.kind == MEMORY else "G multiply-adds/s"
        spread = f"median {ceiling.median / 1e9:.1f}, worst {ceiling.worst / 1e9:.1f}"
        name = f"{ceiling.kind}, {ceiling.threads} thread{'s' * (ceiling.threads > 1)}"
        table.add_row(name, f"{ceiling.best / 1e9:.1f} {unit}", f"{spread}; {ceiling.workload}")
    for precision in PRECISIONS:
        if precision not in {ceiling.kind for ceiling in machine.ceilings}:
            table.add_row(precision, "none", "OpenVINO does not compute in it on this processor")
    if linpack:
        verdict = f"n = {linpack.n}, residual {linpack.residual:.4f} {'PASSED' if linpack.passed else 'FAILED'}"
        table.add_row("HPL", f"{linpack.gflops:.1f} GFLOP/s", f"f64; {verdict}")
    if gradients:
        checks = ", ".join(f"{name} {'PASSED' if passed else 'FAILED'}" for name, passed in gradients.checks.items())
        table.add_row("HPCG", f"{gradients.gflops:.2f} GFLOP/s", f"f64, 1 thread; {grid}x{grid}x{grid}, {checks}")
    if missing:
        table.add_row("HPL, HPCG", "none", missing)
    Console(width=None if Console().is_terminal else 120).print(table, markup=False)

    if json:
        results = {"hpl": linpack and linpack.facts(), "hpcg": gradients and gradients.facts()}
        write_text(json, dumps(machine.facts() | results, indent=1) + "\n")
    if (linpack and not linpack.passed) or (gradients and not gradients.valid):
        raise typer.Exit(1)
