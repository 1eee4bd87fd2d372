"""``upres models``: what is bundled, and what can be trained."""

from __future__ import annotations

from typing import Annotated

import typer

from upres.cli.errors import shown_to_people

__all__ = ["command"]


@shown_to_people
def command(
    networks: Annotated[bool, typer.Option("--networks", help="List the networks of the workbench instead.")] = False,
) -> None:
    """List the bundled models."""
    if networks:
        _list_networks()
    else:
        _list_models()


def _list_models() -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from upres.runtime import models

    cards = models()
    sets = list(dict.fromkeys(name for card in cards for name in card.quality))
    table = Table(box=box.SIMPLE)
    for heading in ("model", "scale", "network", "parameters", "multiply-adds", "precision", *sets):
        table.add_column(heading, justify="left" if heading in ("model", "network") else "right")
    for card in cards:
        table.add_row(
            card.name,
            f"x{card.scale}",
            card.network,
            f"{card.parameters:,}",
            f"{card.multiply_adds / card.scale**2:,.0f}",
            card.precision,
            *(f"{card.quality[name]:.2f}" if name in card.quality else "" for name in sets),
        )
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table)
    console.print("multiply-adds: per pixel of the result. PSNR in dB: on Y, not rounded, the scale shaved, mean.")
    for facts in sorted({f"data: {card.data}. licence: {card.licence}." for card in cards}):
        console.print(facts, highlight=False)
    if not cards:
        typer.echo("no models are bundled")


def _list_networks() -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from upres.errors import MissingExtra

    try:
        from upres.compression.reparameterise import merge
        from upres.networks import NETWORKS
        from upres.networks.facts import facts
    except ImportError as error:
        raise MissingExtra(f"The workbench ({error.name})", "lab") from None

    table = Table(box=box.SIMPLE)
    for heading in ("network", "scale", "also", "parameters", "multiply-adds", "activations"):
        table.add_column(heading, justify="left" if heading == "network" else "right", no_wrap=True)
    table.add_column("paper")
    for name in sorted(NETWORKS):
        known = facts(name, merge)
        table.add_row(
            name,
            f"x{known.scale}",
            " ".join(f"x{scale}" for scale in known.scales if scale != known.scale),
            f"{known.counts.parameters:,}",
            f"{known.counts.multiply_adds / 1e9:.2f} G",
            f"{known.counts.activations / 1e6:.1f} M",
            known.paper,
        )
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)
    console.print(
        "multiply-adds and activations: for an LR image of 256 x 256, at the first scale, as AIM 2020 counts them. "
        "All of networks as they run: what only training needs is merged."
    )
