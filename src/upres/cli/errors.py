"""How commands tell people what went wrong."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import ParamSpec

import typer

__all__ = ["shown_to_people"]

P = ParamSpec("P")


def shown_to_people(command: Callable[P, None]) -> Callable[P, None]:
    """A command whose foreseen errors end in one sentence and exit status 2, without a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        from upres.errors import UpresError

        try:
            command(*args, **kwargs)
        except (UpresError, ValueError) as error:
            typer.echo(f"upres: {error}", err=True)
            raise typer.Exit(2) from None
        except OSError as error:
            if error.filename is None and error.errno != errno.ENOSPC:  # not about a file that somebody named
                raise
            typer.echo(f"upres: {f'{error.filename}: ' if error.filename else ''}{error.strerror}", err=True)
            raise typer.Exit(2) from None

    return wrapped
