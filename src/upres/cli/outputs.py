"""Where commands write to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["prepare"]


def prepare(*files: Path | None, inputs: Iterable[Path] = ()) -> None:
    """Make the folders of files that a command will write, before its work instead of after it.

    Args:
        files: to write; None for what is not asked for.
        inputs: files that the command reads.

    Raises:
        ValueError: if a folder bears the name of one of the files, or one is an input or named twice.
        OSError: if a folder cannot be made.
    """
    taken = {file.resolve() for file in inputs}
    for file in files:
        if file:
            if file.resolve() in taken:
                raise ValueError(f"{file} is read or written already: name another file")
            taken.add(file.resolve())
            if file.is_dir():
                raise ValueError(f"{file} is a folder: name a file in it")
            file.parent.mkdir(parents=True, exist_ok=True)
