"""Where commands write to."""

from __future__ import annotations

from pathlib import Path

__all__ = ["prepare"]


def prepare(*files: Path | None) -> None:
    """Make the folders of files that a command will write, before its work instead of after it.

    Raises:
        ValueError: if a folder bears the name of one of the files.
        OSError: if a folder cannot be made.
    """
    for file in files:
        if file:
            if file.is_dir():
                raise ValueError(f"{file} is a folder: name a file in it")
            file.parent.mkdir(parents=True, exist_ok=True)
