"""``upres search``: find networks, and show and export what was found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from upres.cli.errors import shown_to_people
from upres.cli.outputs import prepare

if TYPE_CHECKING:
    from upres.search.plan import Plan
    from upres.search.standing import Standing
    from upres.search.store import Store

__all__ = ["app"]


class _Commands(TyperGroup):
    """``upres search FILE`` is short for ``upres search run FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["run", *args]
        return list(super().parse_args(ctx, args))


app = typer.Typer(cls=_Commands, no_args_is_help=True, help="Search for networks: `upres search FILE --out DIR`.")

Folder = Annotated[Path, typer.Option("--search", help="Folder of the search.")]


@app.command("run")
@shown_to_people
def run(
    file: Annotated[
        str | None, typer.Argument(help="A .toml file, or the name of one that ships, for example fast_x3.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the search.")] = Path("search"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the search in --out; FILE is not needed.")
    ] = False,
    data: Annotated[str | None, typer.Option(help="Folder of HR photographs; short for --set data.train=.")] = None,
    validation: Annotated[str | None, typer.Option(help="Likewise for data.validation.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the file: controller.reinforced=0.")
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="A few minutes that show that it runs: the [smoke].")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core if not given.")] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Evaluate on this Ray cluster instead; auto finds one.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Search. Killed at any moment, `upres search --resume` goes on where it stopped."""
    from upres.errors import MissingExtra, SearchError

    try:
        from upres.search.plan import load_plan
        from upres.search.run import search
        from upres.search.store import Store
        from upres.search.workers import LocalWorkers, RayWorkers
        from upres.training.recipe import folders
    except ImportError as error:
        raise MissingExtra(f"The workbench ({error.name})", "lab") from None
    if resume:
        if file or data or validation or change or smoke:
            raise SearchError("--resume goes on with what --out holds; leave out the file and all that changes it")
        with Store(out, readable=True) as store:
            plan = _plan_in(store)
    else:
        if file is None:
            raise SearchError("name a search's .toml file or one that ships, or go on with --resume")
        plan = load_plan(file, [*(change or []), *folders(data, validation)], smoke=smoke)
        for key, folder in (("data.train", plan.data.train), ("data.validation", plan.data.validation)):
            if folder and not Path(folder).is_dir():
                raise SearchError(f"{key} = {folder!r}: there is no such folder of photographs")
    with Store(out) as store:
        if not resume and store.fact("plan"):
            raise SearchError(f"{out} holds a search already: go on with --resume, or choose another --out")
        store.note("plan", plan.source)
        count = workers or max(1, (os.cpu_count() or 1) // plan.proxy.threads)
        pool = RayWorkers(ray, plan.proxy.threads) if ray is not None else LocalWorkers(count)
        with pool, _Progress(quiet) as progress:
            found = search(plan, store, pool, progress.show)
    _show(plan, found)
    typer.echo(f"upres search report --search {out}    # all of it on one page")


@app.command("report")
@shown_to_people
def report(
    search: Folder = Path("search"),
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The .html; in the search's folder if not given.")
    ] = None,
    network: Annotated[
        int | None, typer.Option(help="Whose genealogy is drawn; the one of the highest PSNR if not given.")
    ] = None,
) -> None:
    """Draw a search into one HTML file; also of one that runs."""
    from upres.errors import MissingExtra

    try:
        from upres.search.report import write_report
        from upres.search.store import Store
    except ImportError as error:
        raise MissingExtra(f"The workbench ({error.name})", "lab") from None
    path = out or search / "report.html"
    prepare(path)
    with Store(search, readable=True) as store:
        write_report(path, _plan_in(store), store, network)
    typer.echo(str(path))


@app.command("export")
@shown_to_people
def export(
    number: Annotated[int, typer.Argument(metavar="ID", help="Of a candidate, as the report numbers them.")],
    search: Folder = Path("search"),
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")] = Path(),
) -> None:
    """Write a network that was found: a checkpoint, and a recipe that trains it in full."""
    from upres.errors import MissingExtra

    try:
        from upres.search.export import export as export_candidate
        from upres.search.store import Store
    except ImportError as error:
        raise MissingExtra(f"The workbench ({error.name})", "lab") from None
    with Store(search, readable=True) as store:
        for path in export_candidate(_plan_in(store), store, number, out):
            typer.echo(str(path))


def _plan_in(store: Store) -> Plan:
    """What a search was begun with."""
    from upres.errors import SearchError
    from upres.search.plan import plan_of

    source = store.fact("plan")
    if source is None:
        raise SearchError("the search was killed before it began: begin it again without --resume")
    return plan_of(source)


class _Progress:
    """A bar on a terminal, or a line for every candidate elsewhere."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(stderr=True)
        self.lines = not quiet and not console.is_terminal
        self.bar = Progress(
            BarColumn(), TextColumn("{task.description}"), console=console, disable=quiet or not console.is_terminal
        )
        self.task = self.bar.add_task("", total=None)

    def __enter__(self) -> _Progress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, at: Standing) -> None:
        """After every evaluation."""
        left = "" if at.seconds_left is None else f", {at.seconds_left / 60:.0f} min left"
        text = (
            f"{at.evaluated}/{at.total} candidates, {len(at.front)} in the front, "
            f"hypervolume {at.hypervolume:.4g}{left}"
        )
        self.bar.update(self.task, description=text, completed=at.evaluated, total=at.total)
        if self.lines:
            typer.echo(text, err=True)


def _show(plan: Plan, found: Standing) -> None:
    """The front as a table, and what is known of the proxy."""
    from upres.cli.tables import show
    from upres.search.report import shown

    rows = [
        [
            str(candidate.number),
            *(shown(name, candidate) for name in plan.objectives),
            plan.space.describe(candidate.genome),
        ]
        for candidate in found.front
    ]
    notes = []
    if found.correlation is not None:
        sample = f"{plan.proxy.longer} times as long"
        notes.append(f"rank correlation of PSNR after a training and one {sample}: {found.correlation:.2f} (Spearman)")
    show(["id", *plan.objectives, "network"], rows, notes, left={"network"})
