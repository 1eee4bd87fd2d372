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
    from upres.cli.tables import show
    from upres.runtime import models

    cards = models()
    sets = list(dict.fromkeys(name for card in cards for name in card.quality))
    headings = ("model", "scale", "network", "parameters", "multiply-adds", "precision", *sets)
    rows = [
        (
            card.name,
            f"x{card.scale}",
            card.network,
            f"{card.parameters:,}",
            f"{card.multiply_adds / card.scale**2:,.0f}",
            card.precision,
            *(f"{card.quality[name]:.2f}" if name in card.quality else "" for name in sets),
        )
        for card in cards
    ]
    notes = ["multiply-adds: per pixel of the result. PSNR in dB: on Y, not rounded, the scale shaved, mean."]
    if any("_jpeg_x" in card.name for card in cards):
        notes.append("_jpeg: variants for compressed pictures; upres takes them for JPEGs of low quality (--denoise).")
    notes += sorted({f"data: {card.data}. licence: {card.licence}." for card in cards})
    show(headings, rows, notes, left={"network"})


def _list_networks() -> None:
    from upres.cli.tables import show
    from upres.errors import MissingExtra

    try:
        from upres.compression.reparameterise import merge
        from upres.networks import NETWORKS
        from upres.networks.facts import facts
    except ImportError as error:
        raise MissingExtra(f"The workbench ({error.name})", "lab") from None

    rows = []
    for name in sorted(NETWORKS):
        known = facts(name, merge)
        rows.append(
            (
                name,
                f"x{known.scale}",
                " ".join(f"x{scale}" for scale in known.scales if scale != known.scale),
                f"{known.counts.parameters:,}",
                f"{known.counts.multiply_adds / 1e9:.2f} G",
                f"{known.counts.activations / 1e6:.1f} M",
                known.paper,
            )
        )
    note = (
        "multiply-adds and activations: for an LR image of 256 x 256, at the first scale, as AIM 2020 counts them. "
        "All of networks as they run: what only training needs is merged."
    )
    headings = ("network", "scale", "also", "parameters", "multiply-adds", "activations", "paper")
    show(headings, rows, [note], left={"paper"})
