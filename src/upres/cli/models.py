"""``upres models``: what is bundled, with the facts of the cards."""

from __future__ import annotations

import typer

__all__ = ["command"]


def command() -> None:
    """List the bundled models."""
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
