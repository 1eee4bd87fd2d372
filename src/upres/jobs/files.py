"""From what a user names to pairs of source and target file."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from upres.errors import ImageError
from upres.images import FORMATS, SUFFIXES

__all__ = ["Job", "collect"]

FOREIGN_SUFFIXES = {".heic", ".heif", ".jp2", ".jxl", ".ppm", ".psd", ".svg", ".tga"}


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
    A picture that is named twice is done once; one that is missing beside others gets its
    job too, which will say so.

    Args:
        inputs: files, folders, and patterns that the shell did not expand.
        mark: what the names of results end in, for example ``_x4``; in folders, files that
            bear it already are left out.
        output: a folder; or, for a single file, the result's own name if its suffix is a
            format's.
        recursive: also look into the folders of folders.

    Raises:
        ImageError: if none of the inputs exists, one is empty or cannot be read, there is no picture, two
            results would have one name, or ``output`` is one file for several pictures.
    """
    found: dict[Path, tuple[Path, Path]] = {}  # by true path: the file, and what its place in the output is relative to
    folders = False
    try:
        for name in inputs:
            if not name:
                raise ImageError("'': there is no such file or folder")
            for path in _expand(name):
                files = [path]
                if path.is_dir():
                    folders = True
                    files = list(_pictures(path, mark, recursive))
                for file in files:
                    found.setdefault(Path(os.path.realpath(file)), (file, path if path.is_dir() else path.parent))
        one_file = output is not None and not output.is_dir() and bool(output.suffix)
    except OSError as error:
        raise ImageError(f"{error.filename}: cannot be read ({error.strerror})") from None
    if not any(os.path.lexists(file) for file, _ in found.values()):
        named = ", ".join(str(file) for file, _ in found.values())
        raise ImageError(f"{named}: there is no such file or folder" if named else "no pictures found in the folders")

    if output and one_file and output.suffix.lower() in SUFFIXES:
        if folders or len(found) > 1:
            raise ImageError(f"--output {output} is one file, but there are several pictures; name a folder")
        if format and output.suffix.lower() not in FORMATS[format].suffixes:
            raise ImageError(f"--output {output} is not what a file of --format {format} is called")
        ((file, _),) = found.values()
        return [Job(file, output)]
    if output and one_file and output.suffix.lower() in FOREIGN_SUFFIXES:
        raise ImageError(f"--output {output}: upres writes .{', .'.join(FORMATS)}")
    return _without_clashes([_names(file, root, mark, output, format) for file, root in found.values()])


def _names(file: Path, root: Path, mark: str, output: Path | None, format: str | None) -> tuple[Path, Path, Path]:
    """A picture, what its result is called, and what if another's is called so too."""
    folder = output / file.parent.relative_to(root) if output else file.parent
    suffix = FORMATS[format or _default_format(file)].suffixes[0]
    joined = f"{file.stem}_{file.suffix.lstrip('.')}"
    return file, folder / f"{file.stem}{mark}{suffix}", folder / f"{joined}{mark}{suffix}"


def _without_clashes(names: list[tuple[Path, Path, Path]]) -> list[Job]:
    plain = Counter(_place(short) for _, short, _ in names)
    jobs: dict[Path, Job] = {}
    for file, short, long in names:
        target = short if plain[_place(short)] == 1 else long
        if other := jobs.get(_place(target)):
            raise ImageError(f"{other.source} and {file} would both become {target}; upscale them to different folders")
        jobs[_place(target)] = Job(file, target)
    return list(jobs.values())


def _place(target: Path) -> Path:
    """The same for every way to spell a path."""
    return Path(os.path.realpath(target.parent), target.name)


def _expand(name: str) -> list[Path]:
    path = Path(name)
    if path.exists():
        return [path]
    matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob refuses absolute patterns
    return [Path(match) for match in matches] or [path]


def _pictures(folder: Path, mark: str, recursive: bool) -> Iterator[Path]:
    """The pictures of a folder in order; folders in it that cannot be read, so that their job fails and is seen."""
    unreadable: list[Path] = []

    def note(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise error
        unreadable.append(Path(error.filename))

    for place, inner, names in os.walk(folder, onerror=note):
        inner[:] = sorted(inner) if recursive else []
        for name in sorted(names):
            file = Path(place, name)
            wanted = file.suffix.lower() in SUFFIXES and not file.stem.endswith(mark)
            if wanted and not name.startswith(".upres-") and not _is_special(file):
                yield file
    yield from unreadable


def _is_special(file: Path) -> bool:
    """Whether it is a pipe, a device or the like."""
    try:
        mode = file.stat().st_mode
    except OSError:
        return False  # reading it will say what is wrong
    return not stat.S_ISREG(mode)


def _default_format(file: Path) -> str:
    return "tiff" if file.suffix.lower() in FORMATS["tiff"].suffixes else "png"
