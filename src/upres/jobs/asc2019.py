"""The hand-in of ASC 2019's Single Image Super-Resolution: made from a model and the contest's LR pictures; checked.

The contest's official repository calls its pictures 01.png to 80.png and gives HR and LR the same name, so a result
bears the name of its LR picture.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from upres import __version__
from upres.challenges.asc2019 import COUNT, PARTS, RMSE_ABOVE, RMSE_BELOW, ROOT, SCALE, is_valid
from upres.errors import ChallengeError, ImageError, ModelError, UpresError
from upres.images import SUFFIXES, read
from upres.jobs.files import Job
from upres.jobs.run import Result, run
from upres.runtime import Upscaler, bundled

__all__ = ["Finding", "Measure", "check", "pack", "plan"]

Measure = Callable[[NDArray[Any], NDArray[Any]], tuple[float, float]]
"""RMSE and PI of an SR picture, given it and its HR, both (H, W, 3) uint8."""

IMAGES, SCRIPTS, MODELS = PARTS
SCRIPT = '''\
"""Makes the pictures of ../{images} again.

    pip install upres=={version}
    python upscale.py LR_FOLDER OUTPUT_FOLDER
"""

import sys
from pathlib import Path

import upres
from upres.images import SUFFIXES

VERSION = {version!r}
MODEL = Path(__file__).resolve().parent.parent / {models!r} / {model!r}

if len(sys.argv) != 3:
    sys.exit("usage: python upscale.py LR_FOLDER OUTPUT_FOLDER")
if upres.__version__ != VERSION:
    sys.exit(f"this is upres {{upres.__version__}}; the pictures were made with upres {{VERSION}}")

lr, output = map(Path, sys.argv[1:])
output.mkdir(parents=True, exist_ok=True)
upscaler = upres.Upscaler(MODEL, scale={scale}, precision="f32")
for path in sorted(lr.iterdir()):
    if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
        upres.write(output / f"{{path.stem}}.png", upscaler(upres.read(path)))
'''


def plan(lr: Path, output: Path, *, count: int = COUNT, overwrite: bool = False) -> list[Job]:
    """The pictures to upscale, and where to.

    Args:
        lr: the folder of the contest's LR pictures.
        output: the folder to make the hand-in in.
        count: how many LR pictures there must be.
        overwrite: the hand-in may be there already; its files are then replaced, others stay.

    Raises:
        ChallengeError: if there are more or fewer pictures, two would have one name, or the
            hand-in is there already.
    """
    pictures = _pictures(lr)
    if len(pictures) != count:
        raise ChallengeError(
            f"{lr}: holds {len(pictures)} pictures, not {count}; name the contest's folder, or --count"
        )
    root = output / ROOT
    if not overwrite and root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ChallengeError(f"{root}: is there already; choose another --out, or --overwrite to replace what is in it")
    jobs = [Job(picture, root / IMAGES / f"{picture.stem}.png") for picture in pictures]
    names = [job.target.name for job in jobs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ChallengeError(f"{lr}: several pictures would become {_listed(twice)}; leave one of each")
    return jobs


def pack(jobs: list[Job], model: str, *, progress: Callable[[Job, float], None] | None = None) -> Iterator[Result]:
    """Make the hand-in: the upscaled pictures, the model file, and a script that makes the pictures from both.

    The script is written last and taken away first, so that a hand-in that was interrupted, or lacks a picture that
    failed, is seen by `check`.

    Args:
        jobs: from `plan`; files that are there are replaced.
        model: a bundled x4 model or family, or the path of an ``.onnx`` file.
        progress: as for `upres.jobs.run`.

    Raises:
        ModelError: if the model is not there or not for x4.
        OSError: if a file cannot be written.
    """
    if Upscaler.native_scale(model) != SCALE:
        raise ModelError(f"{model}: is a model for x{Upscaler.native_scale(model)}; the contest is x{SCALE}")
    file = Path(model) if model.endswith(".onnx") else bundled().get(model) or bundled()[f"{model}_x{SCALE}"]
    upscaler = Upscaler(file, scale=SCALE, precision="f32")
    root = jobs[0].target.parent.parent
    script, copy = root / SCRIPTS / "upscale.py", root / MODELS / file.name
    for folder in (root / IMAGES, script.parent, copy.parent):
        folder.mkdir(parents=True, exist_ok=True)
    script.unlink(missing_ok=True)
    failed = False
    for result in run(jobs, upscaler, overwrite=True, progress=progress):
        failed = failed or result.error is not None
        yield result
    if not failed:
        shutil.copyfile(file, copy)
        facts = {"version": __version__, "images": IMAGES, "models": MODELS, "model": file.name, "scale": SCALE}
        script.write_text(SCRIPT.format(**facts), encoding="utf-8")


@dataclass(frozen=True)
class Finding:
    """One thing that `check` looked at."""

    fact: str
    """What has to be so."""
    problem: str = ""
    """What is wrong and what to do; empty where nothing is."""


def check(
    folder: Path, lr: Path, hr: Path | None = None, *, measure: Measure | None = None, count: int = COUNT
) -> Iterator[Finding]:
    """Look a hand-in over, the dear things last.

    Args:
        folder: the hand-in, or the folder that it is in.
        lr: the folder of the contest's LR pictures.
        hr: the folder of their HR pictures, to measure RMSE and PI by ``measure``.
        measure: as PIRM 2018 does; `upres.evaluation.measures.rmse_and_pi`.
        count: how many pictures there must be.

    Raises:
        ChallengeError: if the LR or HR folder cannot be read.
    """
    originals = {f"{picture.stem}.png": picture for picture in _pictures(lr)}
    root = folder if folder.resolve().name == ROOT else folder / ROOT
    fact = f'there is a folder "{ROOT}"'
    if not root.is_dir():
        yield Finding(fact, f"{folder} is not called so and holds none; make it with `upres asc2019 pack`")
        return
    yield Finding(fact)
    yield Finding(
        f"it holds {', '.join(PARTS)}",
        _differences(_names(root), PARTS, "make the hand-in anew", "take what does not belong to it out"),
    )
    for part, what in ((SCRIPTS, "code that makes the pictures"), (MODELS, "model")):
        filled = any(path.is_file() and path.stat().st_size for path in (root / part).rglob("*"))
        yield Finding(f"{part} holds the {what}", "" if filled else "it is empty: pack was interrupted; pack again")
    lacking = f"there are {len(originals)}; name the contest's folder, or --count" if len(originals) != count else ""
    yield Finding(f"there are {count} LR pictures", lacking)
    made = _names(root / IMAGES) if (root / IMAGES).is_dir() else set()
    yield Finding(
        f"{IMAGES} holds the {len(originals)} pictures of the LR pictures' names",
        _differences(made, originals, "pack again", "take what is not a result out"),
    )
    present = [root / IMAGES / name for name in originals if name in made]
    problems = [] if present else ["there is none: pack again"]
    problems += [problem for path in present if (problem := _problem(path, originals[path.name]))]
    yield Finding(f"every picture is a whole PNG, {SCALE} times the LR picture's size", _listed(problems, "; "))
    if hr is not None and measure is not None:
        yield from _measured(present, hr, measure)


def _measured(pictures: list[Path], hr: Path, measure: Measure) -> Iterator[Finding]:
    """RMSE, the root of the mean of the pictures' squared errors, and PI, the mean of theirs."""
    fact = "RMSE and PI can be measured"
    originals = {picture.stem: picture for picture in _pictures(hr)}
    missing = [picture.name for picture in pictures if picture.stem not in originals]
    if missing or not pictures:
        yield Finding(fact, f"{hr} has no HR picture for {_listed(missing) or 'any'}; name the folder that has")
        return
    squares, indices = [], []
    for picture in pictures:
        try:
            rmse, index = measure(read(picture).rgb8(), read(originals[picture.stem]).rgb8())
        except (UpresError, ValueError) as error:
            yield Finding(fact, f"{picture.name}: {error}")
            return
        squares.append(rmse**2)
        indices.append(index)
    rmse = math.sqrt(sum(squares) / len(squares))
    outside = "" if is_valid(rmse) else "it is outside, so S_PI would be 0; choose another model"
    yield Finding(f"RMSE {rmse:.4f} is above {RMSE_ABOVE} and below {RMSE_BELOW}", outside)
    yield Finding(f"PI is {sum(indices) / len(indices):.4f}, the lower the better")


def _problem(path: Path, original: Path) -> str:
    """What is wrong with a result, if anything is."""
    try:
        made, lr = read(path), read(original)
    except ImageError as error:
        return f"{error}: pack again"
    if made.format != "png":
        return f"{path.name} is a {made.format.upper()} by its content: write it as PNG"
    (height, width), (rows, columns) = lr.pixels.shape[:2], made.pixels.shape[:2]
    if (rows, columns) != (SCALE * height, SCALE * width):
        return (
            f"{path.name} is {columns}x{rows}, not {SCALE * width}x{SCALE * height}: upscale {original.name} by {SCALE}"
        )
    return ""


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def _pictures(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    except OSError as error:
        raise ChallengeError(f"{folder}: cannot be read as a folder ({error.strerror})") from None


def _differences(there: set[str], wanted: Iterable[str], if_missing: str, if_more: str) -> str:
    missing, more = sorted(set(wanted) - there), sorted(there - set(wanted))
    parts = [f"{_listed(missing)} missing: {if_missing}"] if missing else []
    return "; ".join([*parts, f"{_listed(more)} beside: {if_more}"] if more else parts)


def _listed(names: list[str], separator: str = ", ", most: int = 5) -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return separator.join([*names[:most], *more])
