"""``upres metrics``: what metrics are made of, fitted or fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upres.cli.errors import shown_to_people
from upres.cli.outputs import prepare

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Fit or fetch what NIQE and Ma's metric are made of.")


@app.command("fit-niqe")
@shown_to_people
def fit_niqe(
    folder: Annotated[Path, typer.Argument(help="Pristine photographs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npz to write, for `upres eval --niqe`.")],
) -> None:
    """Fit NIQE's pristine model to photographs."""
    from upres import metrics
    from upres.cli.bars import Counter
    from upres.evaluation.pairs import files_by_name
    from upres.images import read

    prepare(out)
    files = files_by_name(folder)
    with Counter("images", len(files)) as counter:

        def photographs() -> Iterator[NDArray[np.uint8]]:
            for path in files.values():
                yield read(path).rgb8()
                counter.advance()

        metrics.fit_niqe(photographs()).save(out)
    typer.echo(str(out))


@app.command("fetch")
@shown_to_people
def fetch(name: Annotated[str, typer.Argument(help="niqe, ma, or for perceptual losses vgg16 or vgg19.")]) -> None:
    """Download published parameters, which do not come with upres, and check them."""
    from upres.cli.bars import Transfer
    from upres.evaluation.fetch import PARAMETERS, fetch_parameters

    with Transfer() as transfer:
        path = fetch_parameters(name, transfer.advance)
    typer.echo(str(path))
    if PARAMETERS[name].checksum is None:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        typer.echo(f"its authors publish no checksum to compare with; its SHA-256 is {found}")


@app.command("fit-ma")
@shown_to_people
def fit_ma(
    table: Annotated[Path, typer.Argument(help="A .csv with the columns image (a path) and score.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npz to write, for `upres eval --ma`.")],
    trees: Annotated[int, typer.Option(min=1, help="In each of the three forests.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers; equal seeds make equal models.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train the metric of Ma et al. from images that people have scored."""
    from upres.evaluation import fit_ma as forests

    prepare(out)
    forests.fit_ma(table, trees=trees, seed=seed, quiet=quiet).save(out)
    typer.echo(str(out))
