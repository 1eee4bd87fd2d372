"""``upres asc2019``: the hand-in of ASC 2019's Single Image Super-Resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upres.cli.errors import shown_to_people

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Make and check a hand-in for ASC 2019's super-resolution contest.")

LR = typer.Option(help="Folder of the contest's LR pictures.")
COUNT = typer.Option(min=1, help="How many LR pictures there must be.")


@app.command()
@shown_to_people
def pack(
    lr: Annotated[Path, LR],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make the hand-in in.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="See `upres models`; or the path of an .onnx.")
    ] = "fast_x4",
    count: Annotated[int, COUNT] = 80,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files of a hand-in that is there; others stay.")
    ] = False,
) -> None:
    """Make the folder that a team hands in.

    "Single Image Super Resolution Challenge" with HR_images, the pictures made larger by 4
    under their own names; model; and script, which makes the pictures from the model with
    this version of upres. The contest asked for PyTorch; the model here is an ONNX.
    """
    from upres.cli.progress import Report
    from upres.jobs import asc2019

    jobs = asc2019.plan(lr, out, count=count, overwrite=overwrite)
    report = Report(jobs, quiet=False)
    with report:
        for result in asc2019.pack(jobs, model, progress=report.advance):
            report.result(result)
    report.errors(debug=False)
    raise typer.Exit(1 if report.failures else 0)


@app.command()
@shown_to_people
def check(
    folder: Annotated[Path, typer.Argument(help="The hand-in, or the folder that it is in.")],
    lr: Annotated[Path, LR],
    hr: Annotated[Path | None, typer.Option(help="Folder of the HR pictures: measures RMSE and PI too.")] = None,
    count: Annotated[int, COUNT] = 80,
) -> None:
    """Look a hand-in over: folders, number, names and sizes of the pictures, RMSE, PI.

    Exit status: 0 all is right, 1 something is wrong, 2 wrong usage.
    """
    from upres.jobs import asc2019

    wrong = 0
    for finding in asc2019.check(folder, lr, hr, count=count):
        wrong += bool(finding.problem)
        typer.echo(f"wrong  {finding.fact}: {finding.problem}" if finding.problem else f"OK     {finding.fact}")
    raise typer.Exit(1 if wrong else 0)
