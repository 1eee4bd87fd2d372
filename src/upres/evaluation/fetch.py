"""Data sets and published parameters, fetched from where their authors keep them, and checked."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import platformdirs

from upres.errors import MissingExtra, UpresError

__all__ = ["DATA_SETS", "PARAMETERS", "DataSet", "File", "fetch_data_set", "fetch_parameters", "fetched"]

CHUNK = 1 << 16
TIMEOUT = 30  # seconds without a byte

Progress = Callable[[int, int], None]
"""Told the bytes that are there and the bytes in all (0 where the server does not say)."""


@dataclass(frozen=True)
class File:
    """Something to download."""

    url: str
    checksum: str | None
    """``md5:...`` or ``sha256:...``; None where none is published: the address then names a commit, so it stays."""
    member: str = ""
    """Of an archive, the one file that is wanted."""

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.member or self.url).name


@dataclass(frozen=True)
class DataSet:
    """A data set as its authors hand it out."""

    page: str
    """Where it is described."""
    files: tuple[File, ...] = ()
    """Archives; none where the set is only to be had from its page."""
    note: str = ""


_DIV2K = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
_BENCHMARK = (File("https://cv.snu.ac.kr/research/EDSR/benchmark.tar", "md5:4ace41d33c2384b97e6b320cd0afd6ba"),)
_BENCHMARK_NOTE = "comes with Set5, Set14, B100 and Urban100 in one archive; for evaluation only"

DATA_SETS: dict[str, DataSet] = {
    "DIV2K": DataSet(
        _DIV2K,
        (
            File(f"{_DIV2K}DIV2K_train_HR.zip", "md5:bdc2d9338d4e574fe81bf7d158758658"),
            File(f"{_DIV2K}DIV2K_valid_HR.zip", "md5:9fcdda83005c5e5997799b69f955ff88"),
        ),
        "800 and 100 HR images; for research only",
    ),
    "Flickr2K": DataSet(
        "https://github.com/limbee/NTIRE2017",
        (File("https://cv.snu.ac.kr/research/EDSR/Flickr2K.tar", "md5:5d3f39443d5e9489bff8963f8f26cb03"),),
        "2650 HR images and their LR; for research only",
    ),
    "Set5": DataSet("https://github.com/sanghyun-son/EDSR-PyTorch", _BENCHMARK, _BENCHMARK_NOTE),
    "Set14": DataSet("https://github.com/sanghyun-son/EDSR-PyTorch", _BENCHMARK, _BENCHMARK_NOTE),
    "BSD100": DataSet("https://github.com/sanghyun-son/EDSR-PyTorch", _BENCHMARK, _BENCHMARK_NOTE),
    "Urban100": DataSet("https://github.com/sanghyun-son/EDSR-PyTorch", _BENCHMARK, _BENCHMARK_NOTE),
    "PIRM": DataSet("https://pirm.github.io", note="validation and test set of PIRM 2018, handed out on its page"),
}

PARAMETERS: dict[str, File] = {
    "niqe": File(
        "https://files.pythonhosted.org/packages/86/41/"
        "00a6b000f222f0fa4c6d9e1d6dcc9811a374cabb8abb9d408b77de39648c/basicsr-1.4.2.tar.gz",
        "sha256:b89b595a87ef964cda9913b4d99380ddb6554c965577c0c10cb7b78e31301e87",
        "basicsr-1.4.2/basicsr/metrics/niqe_pris_params.npz",
    ),
    "ma": File(
        "https://github.com/chaoma99/sr-metric/raw/f73aaefe6518491d131c4cdeda1c6b0d86696bbf/model.mat",
        None,
    ),
    "vgg16": File(
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    "vgg19": File(
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "sha256:dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    ),
}
"""Published parameters of metrics and of perceptual losses, which do not come with upres."""


def fetch_data_set(name: str, folder: Path, progress: Progress | None = None) -> list[Path]:
    """Download and unpack a data set; what is there already is kept, a broken download goes on.

    Args:
        name: of `DATA_SETS`.
        folder: where to. An archive that lies in it under its own name is taken instead of a download.
        progress: told of the bytes.

    Returns:
        The folder of every archive.

    Raises:
        UpresError: for an unknown name, a set without an address, a server that cannot be
            reached, or an archive with another checksum.
    """
    known = {key.lower(): key for key in DATA_SETS}
    if name.lower() not in known:
        raise UpresError(f"there is no data set {name!r}; known: {', '.join(DATA_SETS)}")
    data_set = DATA_SETS[known[name.lower()]]
    if not data_set.files:
        raise UpresError(f"{name} cannot be fetched by a program: get it from {data_set.page}")
    folder.mkdir(parents=True, exist_ok=True)
    return [_unpacked(file, folder, progress) for file in data_set.files]


def fetch_parameters(name: str, progress: Progress | None = None) -> Path:
    """Download published parameters, if they are not there, to where `fetched` finds them.

    Args:
        name: of `PARAMETERS`.
        progress: told of the bytes.

    Raises:
        UpresError: as `fetch_data_set`.
    """
    if name not in PARAMETERS:
        raise UpresError(f"there are no parameters of {name!r} to fetch; known: {', '.join(PARAMETERS)}")
    file, target = PARAMETERS[name], _place(PARAMETERS[name])
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return target
    archive = _download(file, target.parent, progress)
    if file.member:
        with tempfile.TemporaryDirectory(dir=target.parent) as own:
            _unpack(archive, Path(own))
            shutil.move(Path(own) / file.member, target)
        archive.unlink()
    return target


def fetched(name: str) -> Path:
    """Where published parameters lie that have been fetched.

    Raises:
        UpresError: if they have not been fetched.
    """
    place = _place(PARAMETERS[name])
    if not place.exists():
        raise UpresError(f"the published parameters of {name} are not there: run `upres metrics fetch {name}`")
    return place


def _place(file: File) -> Path:
    return platformdirs.user_data_path("upres") / "parameters" / file.name


def _unpacked(file: File, folder: Path, progress: Progress | None) -> Path:
    target = folder / file.name.split(".")[0]
    if target.exists():
        return target
    archive = _download(file, folder, progress)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        _unpack(archive, Path(own))
        inner = Path(own) / target.name  # most archives hold one folder of their own name
        shutil.move(inner if inner.is_dir() else own, target)
        Path(own).mkdir(exist_ok=True)  # for the clean-up, if it was moved
    archive.unlink()
    return target


def _unpack(archive: Path, folder: Path) -> None:
    try:
        if archive.suffix == ".zip":
            shutil.unpack_archive(archive, folder)
        else:
            shutil.unpack_archive(archive, folder, filter="data")
    except (shutil.ReadError, EOFError, OSError) as error:
        raise UpresError(f"{archive}: cannot be unpacked ({error}); delete it and fetch it again") from None


def _download(file: File, folder: Path, progress: Progress | None) -> Path:
    """The verified file in a folder, downloaded if it is not there."""
    try:
        import pooch
        import requests
    except ImportError as error:
        raise MissingExtra(f"What downloads ({error.name})", "lab") from None

    name = PurePosixPath(file.url).name
    part = folder / f"{name}.part"

    def download(url: str, output: str, _: object) -> None:
        there = part.stat().st_size if part.exists() else 0
        with requests.get(url, stream=True, timeout=TIMEOUT, headers={"Range": f"bytes={there}-"}) as answer:
            if answer.status_code != requests.codes.requested_range_not_satisfiable:  # else all of it is there
                answer.raise_for_status()
                resumed = answer.status_code == requests.codes.partial_content
                there = there if resumed else 0
                total = int(answer.headers.get("Content-Length", 0)) + there
                with part.open("ab" if resumed else "wb") as stream:
                    for chunk in answer.iter_content(CHUNK):
                        stream.write(chunk)
                        there += len(chunk)
                        if progress:
                            progress(there, total)
        shutil.move(part, output)

    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(pooch.retrieve(file.url, file.checksum, name, folder, downloader=download))
    except requests.RequestException as error:
        raise UpresError(
            f"cannot fetch {file.url}: {_reason(error)}. What came is kept and the same command goes on; "
            f"or put the file into {folder} by hand"
        ) from None
    except ValueError:
        raise UpresError(f"{file.url} is not the file that upres knows: its checksum is not {file.checksum}") from None


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"the server did not answer for {TIMEOUT} seconds"
    return "there is no connection to the server, or it broke off"
