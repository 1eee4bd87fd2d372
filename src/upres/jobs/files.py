"""From what a user names to pairs of source and target file."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from upres.errors import ImageError
from upres.images import FORMATS

__all__ = ["Job", "collect"]

SUFFIXES = {suffix for form in FORMATS.values() for suffix in form.suffixes}


@dataclass(frozen=True)
class Job:
    """One picture to upscale."""

    source: Path
    target: Path


def collect(
    inputs: Iterable[str],
    *,
    mark: str,
    output: Path | None = None,
    format: str | None = None,
    recursive: bool = False,
) -> list[Job]:
    """Find the pictures and name their results.

    A result is called ``<name><mark>.<format>``: PNG, or TIFF for a TIFF, unless ``format``
    says otherwise. It lies beside its source, or in the folder ``output``, where folders
    keep their inner structure. If two sources would share a name, their suffixes join it.

    Args:
        inputs: files, folders, and patterns that the shell did not expand.
        mark: what the names of results end in, for example ``_x4``; in folders, files that
            bear it already are left out.
        output: a folder; or, for a single file, the result's own name if its suffix is a
            format's.
        recursive: also look into the folders of folders.

    Raises:
        ImageError: if an input does not exist or holds no picture, or ``output`` is one
            file for several pictures.
    """
    found: list[tuple[Path, Path]] = []  # file, and the folder that its place in the output is relative to
    folders = False
    for name in inputs:
        for path in _expand(name):
            if path.is_dir():
                folders = True
                found += [(file, path) for file in _pictures(path, mark, recursive)]
            else:
                found.append((path, path.parent))
    found = list(dict.fromkeys(found))
    if not found:
        raise ImageError("no pictures found: name files, folders or patterns")

    if output and output.suffix.lower() in SUFFIXES and not output.is_dir():
        if folders or len(found) > 1:
            raise ImageError(f"--output {output} is one file, but there are several pictures; name a folder")
        return [Job(found[0][0], output)]

    def target(file: Path, root: Path, stem: str) -> Path:
        folder = output / file.parent.relative_to(root) if output else file.parent
        suffix = FORMATS[format or _default_format(file)].suffixes[0]
        return folder / f"{stem}{mark}{suffix}"

    names = Counter(target(file, root, file.stem) for file, root in found)
    return [
        Job(file, first if names[first := target(file, root, file.stem)] == 1 else target(file, root, _joined(file)))
        for file, root in found
    ]


def _expand(name: str) -> list[Path]:
    path = Path(name)
    if path.exists() or path.is_symlink():
        return [path]
    matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob refuses absolute patterns
    if not matches:
        raise ImageError(f"{name}: there is no such file or folder")
    return [Path(match) for match in matches]


def _pictures(folder: Path, mark: str, recursive: bool) -> list[Path]:
    files = folder.rglob("*") if recursive else folder.glob("*")
    return sorted(
        file
        for file in files
        if file.suffix.lower() in SUFFIXES
        and not file.stem.endswith(mark)
        and not file.name.startswith(".upres-")
        and file.is_file()
    )


def _default_format(file: Path) -> str:
    return "tiff" if file.suffix.lower() in FORMATS["tiff"].suffixes else "png"


def _joined(file: Path) -> str:
    return f"{file.stem}_{file.suffix.lstrip('.').lower()}"
