"""The front of PSNR against milliseconds at x4: the bundled models and the networks that others published.

    python benchmarks/front.py --data Set14 --weights FOLDER [--json FILE] [--plot FILE.svg]

Every published network at x4 in a folder that `upres.networks.load` reads runs by ONNX Runtime in f32 on its plain
exported ONNX, as people do, and by upres in the precision that it chooses; every bundled model runs by upres in every
precision of the processor. Time: from numpy array to numpy array, all in one run, in turn, each opened anew so that
memory holds one at a time, and timed at its second picture. PSNR: on Y, not rounded, the scale shaved, mean of images.
Networks of more than 2 million multiply-adds an LR pixel, as VDSR, are left out: a round would take minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from json import loads
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from others import onnx_runtime
from pictures import photograph
from timing import Times, measured, medians, ratio, write_times

from upres import Upscaler, models
from upres.compression.export import export
from upres.compression.structure import load
from upres.errors import ModelError
from upres.evaluation.methods import CHECKPOINTS
from upres.evaluation.quality import mean_psnr
from upres.networks.count import count
from upres.runtime.engines import PRECISIONS

SCALE = 4
LIMIT = 2_000_000  # multiply-adds an LR pixel


@dataclass(frozen=True)
class Contestant:
    name: str
    engine: str
    precision: str
    bundled: bool
    open: Callable[[], Callable[[NDArray[np.uint8]], NDArray[np.uint8]]]
    """Gives what upscales, whose memory is free again when it is dropped."""

    @property
    def label(self) -> str:
        return f"{self.name}, {self.engine} {self.precision}"


def by_upres(
    name: str, model: str | Path, precisions: Iterable[str], threads: int, bundled: bool = False
) -> list[Contestant]:
    """In those precisions that the processor and the model have."""
    found = []
    for precision in precisions:
        opened = partial(Upscaler, model, scale=SCALE, precision=precision, threads=threads)
        try:
            opened()
        except ModelError:
            continue
        found.append(Contestant(name, "upres", precision, bundled, opened))
    return found


def bundled_models(threads: int, wanted: Callable[[str], bool]) -> list[Contestant]:
    names = [card.name for card in models() if card.scale == SCALE and card.precision != "int8" and wanted(card.name)]
    return [one for name in names for one in by_upres(name, name, PRECISIONS, threads, bundled=True)]


def published(weights: Path, folder: Path, threads: int, wanted: Callable[[str], bool]) -> list[Contestant]:
    found = []
    for path in sorted(path for path in weights.iterdir() if path.suffix in CHECKPOINTS and wanted(path.stem)):
        try:
            _, network = load(path, SCALE)
        except ValueError:
            continue  # of another scale, or no network
        if count(network, 256, 256).multiply_adds / 256**2 > LIMIT:
            print(f"{path.stem} is left out, which has more than {LIMIT:,} multiply-adds an LR pixel")
            continue
        model = folder / f"{path.stem}.onnx"
        export(path, model, scale=SCALE)
        found.append(Contestant(path.stem, "ONNX Runtime", "f32", False, partial(onnx_runtime, model, threads)))
        found += by_upres(path.stem, model, ("auto",), threads)
    return found


def main(
    data: Path,
    weights: Path | None,
    size: str,
    threads: int,
    rounds: int,
    only: list[str],
    psnr_from: Path | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    width, height = map(int, size.split("x"))
    lr = photograph(height, width)

    def wanted(name: str) -> bool:
        return not only or any(part in name for part in only)

    with tempfile.TemporaryDirectory() as folder:
        found = bundled_models(threads, wanted) + (published(weights, Path(folder), threads, wanted) if weights else [])
        times: Times = {one.label: [] for one in found}
        for _ in range(rounds):
            for one in found:
                times[one.label] += measured({one.label: partial(one.open(), lr)}, 1)[one.label]
        psnr = known(psnr_from, data.name)
        for one in found:
            if one.bundled or one.label not in psnr:
                psnr[one.label] = mean_psnr(one.open(), data, SCALE)
    milliseconds = medians(times)
    points = sorted(
        (
            {
                "label": one.label,
                "name": one.name,
                "engine": one.engine,
                "precision": one.precision,
                "bundled": one.bundled,
                "psnr_y": psnr[one.label],
                "ms": milliseconds[one.label],
            }
            for one in found
        ),
        key=lambda point: point["ms"],
    )
    print(f"{size} to x{SCALE}, {threads} threads, medians of {rounds} rounds in turn; PSNR on Y of {data.name}")
    for point in points:
        better = next((other["label"] for other in points if not other["bundled"] and beats(other, point)), None)
        verdict = "" if not point["bundled"] else f"below {better}" if better else "*"
        print(f"{point['label']:48}{point['ms']:9.1f} ms{point['psnr_y']:8.2f} dB  {verdict}")
    print("* bundled with upres, and nothing published is both as good and as fast")
    slow = next((one.label for one in found if one.name.startswith("rfdn") and one.engine == "ONNX Runtime"), None)
    for label in (one.label for one in found if slow and one.name.startswith("fine")):
        print(f"{label} is {ratio(times, slow, label):.2f} times faster than {slow}, the median of pairs")
    if json:
        write_times(json, times, size=size, threads=threads, data=data.name, psnr_y=psnr, points=points)
    if plot:
        draw(plot, points, f"PSNR on Y of {data.name} against time for {size} to x{SCALE}, {threads} threads")


def beats(other: dict[str, Any], point: dict[str, Any]) -> bool:
    return bool(other["psnr_y"] >= point["psnr_y"] and other["ms"] <= point["ms"])


def known(path: Path | None, data: str) -> dict[str, float]:
    content = loads(path.read_text()) if path else {"data": data, "psnr_y": {}}
    return dict(content["psnr_y"]) if content["data"] == data else {}


def draw(path: Path, points: list[dict[str, Any]], title: str) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "upres"
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    figure, axes = plt.subplots(figsize=(10, 6.5), layout="constrained")
    kinds = (
        ("upres, bundled", "tab:red", "o", lambda point: point["bundled"]),
        ("published, by upres", "tab:blue", "s", lambda point: not point["bundled"] and point["engine"] == "upres"),
        ("published, by ONNX Runtime f32", "tab:gray", "^", lambda point: point["engine"] != "upres"),
    )
    for label, colour, marker, chosen in kinds:
        some = [point for point in points if chosen(point)]
        axes.scatter([p["ms"] for p in some], [p["psnr_y"] for p in some], c=colour, marker=marker, label=label)
        for point in some:
            name = re.sub(r"_(x\d|ntire|ch\d|multi).*", "", point["name"])
            text = f"{name} {point['precision']}" if point["bundled"] else name
            style = {"fontweight": "bold"} if point["bundled"] else {"rotation": 45}
            place = (point["ms"], point["psnr_y"])
            axes.annotate(text, place, (3, 3), textcoords="offset points", color=colour, fontsize=8, **style)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(0.08, 0.12)
    axes.set(xlabel="milliseconds", ylabel="dB", title=title)
    axes.grid(which="both", alpha=0.2)
    axes.legend(loc="lower right")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data set, as for upres eval")
    parser.add_argument("--weights", type=Path, help="a folder of published weights")
    parser.add_argument("--size", default="640x360", help="of the LR picture that is timed")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], help="parts of the names of what is measured alone")
    parser.add_argument("--psnr-from", type=Path, help="an earlier --json, for what was published")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    main(**vars(parser.parse_args()))
