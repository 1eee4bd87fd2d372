"""Running jobs side by side: while one picture is computed, others are decoded and encoded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from upres.errors import ImageError, UpresError
from upres.images import MAX_MEGAPIXELS, Metadata, Picture, read_rows, write, write_bands
from upres.images.write import format_of, notices_of
from upres.jobs.files import Job
from upres.runtime import EffortMap

if TYPE_CHECKING:
    from upres.runtime import Upscaler

__all__ = ["Result", "Size", "check_effort_map", "run"]

Size = Callable[[int, int], tuple[int, int]]
"""From an image's height and width to its result's."""


@dataclass(frozen=True)
class Result:
    """What became of a job."""

    job: Job
    size: tuple[int, int] = (0, 0)
    """Height and width of the result."""
    seconds: float = 0.0
    notices: tuple[str, ...] = ()
    skipped: bool = False
    """The target existed already."""
    error: Exception | None = None
    models: tuple[str, ...] = ()
    """What the picture went through, one after the other; none where bicubic did all."""


def check_effort_map(path: Path, job: Job, *, overwrite: bool = False) -> None:
    """Refuse a file that a map of the effort must not be drawn to.

    Raises:
        ImageError: if it is the job's source or target, exists and may not be replaced, or is called what upres
            does not write.
    """
    format_of(path)
    if path.resolve() in (job.source.resolve(), job.target.resolve()):
        raise ImageError(f"{path}: is the picture or its result; name another file for the map")
    if path.resolve().exists() and not overwrite:
        raise ImageError(f"{path}: exists; name another file for the map, or --overwrite to replace it")


def run(
    jobs: Iterable[Job],
    upscaler: Upscaler,
    *,
    size: Size | None = None,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    strip: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
    workers: int = 2,
    effort_map: Path | None = None,
    progress: Callable[[Job, float], None] | None = None,
) -> Iterator[Result]:
    """Upscale files to files; yields results as they are ready.

    Args:
        size: what size to make of a picture; None follows the upscaler's scale.
        format: the targets' format; None follows their names.
        quality: as for `upres.images.write_bands`.
        overwrite: replace targets that exist; they are skipped otherwise.
        strip: leave out EXIF, colour profile and resolution.
        max_megapixels: larger inputs are refused.
        workers: pictures in work at the same time.
        effort_map: of one job, also draw to this file, which `check_effort_map` passes, which branch upscaled what, see
            `upres.runtime.EffortMap`.
        progress: called with the share of a job that is done; from several threads.

    Closing the iterator, or an interrupt, stops what is running; no partial file stays.
    """
    stop = threading.Event()

    def work(job: Job) -> Result:
        start = time.perf_counter()
        try:
            if stop.is_set():
                raise _StoppedError
            if job.target.resolve().exists() and not overwrite:  # by way of folders that are yet to be made, too
                return Result(job, skipped=True)
            made, notices, models = _upscale_file(job)
            return Result(job, made, time.perf_counter() - start, notices, models=models)
        except (UpresError, _StoppedError) as problem:
            error: Exception = problem
        except MemoryError:
            error = ImageError(f"{job.source}: there is not enough memory for it")
        except OSError as problem:
            error = ImageError(f"{job.target}: cannot be written ({problem.strerror})")
        except Exception as problem:
            error = ImageError(f"{job.source}: failed unexpectedly ({type(problem).__name__}: {problem})")
            error.__cause__ = problem
        return Result(job, seconds=time.perf_counter() - start, error=error)

    def _upscale_file(job: Job) -> tuple[tuple[int, int], tuple[str, ...], tuple[str, ...]]:
        if effort_map:
            check_effort_map(effort_map, job, overwrite=overwrite)
        source = read_rows(job.source, max_megapixels=max_megapixels)
        height, width, channels = source.rows.shape
        target = size(height, width) if size else upscaler.target(height, width)
        metadata = Metadata() if strip else source.metadata
        route = upscaler.route(max(target[0] / height, target[1] / width), source.jpeg_quality)
        drawn = EffortMap(height, width) if effort_map else None
        name = format or format_of(job.target)
        _make_folder(job.target.parent)

        def advance(share: float) -> None:
            if stop.is_set():
                raise _StoppedError
            if progress:
                progress(job, share)

        write_bands(
            job.target,
            (*target, channels),
            source.rows.dtype,
            upscaler.bands(source.rows, target, advance, jpeg_quality=source.jpeg_quality, effort_map=drawn),
            metadata,
            format=name,
            quality=quality,
        )
        if effort_map and drawn:
            _make_folder(effort_map.parent)
            write(effort_map, Picture(drawn.pixels))
        notices = source.notices + notices_of(name, source.rows.dtype, metadata)
        return target, notices, tuple(model.card.name for model in route)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            for future in as_completed([pool.submit(work, job) for job in jobs]):
                yield future.result()
        finally:
            stop.set()


class _StoppedError(Exception):
    """The user stopped the run."""


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{folder}: the folder cannot be made ({error.strerror})") from None
