"""What routing saves: PSNR against milliseconds at every effort, beside the straight line from effort 0 to 100.

    python benchmarks/routing.py --data val [--model auto] [--scale 4] [--precision int8] [--plot FILE.svg]

Each picture goes through all efforts in turn, several rounds, from numpy array to numpy array; milliseconds are the
mean over pictures of the medians. Default is what `--model auto` does by itself. Gained: dB above the straight line
at the same time.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from timing import interleaved, write_times

from upres import Upscaler
from upres.evaluation.measures import MEASURES, Settings
from upres.evaluation.pairs import Pair, find_pairs

EFFORTS = (0, 10, 20, 30, 35, 40, 50, 60, 70, 80, 90, 100)
DEFAULT = "default"


def main(
    pairs: list[Pair],
    title: str,
    model: str,
    scale: int,
    rounds: int,
    json: Path | None,
    plot: Path | None,
    **options: Any,
) -> None:
    upscalers = {DEFAULT: Upscaler(model, scale=scale, **options)}
    upscalers |= {str(effort): Upscaler(model, scale=scale, effort=effort, **options) for effort in EFFORTS}
    psnr = MEASURES["psnr_y"](Settings(scale)).compute
    times: dict[str, list[float]] = {name: [] for name in upscalers}
    quality: dict[str, list[float]] = {name: [] for name in upscalers}
    for pair in pairs:
        lr, hr = pair.load()
        works = {name: partial(upscaler, lr) for name, upscaler in upscalers.items()}
        for name, milliseconds in interleaved(works, rounds).items():
            times[name].append(milliseconds)
            quality[name].append(psnr(upscalers[name](lr), hr))
    points = {name: (fmean(times[name]), fmean(quality[name])) for name in upscalers}
    (fastest, lowest), (slowest, highest) = points["0"], points["100"]
    print(f"{title}: {len(pairs)} pictures to x{scale}")
    print(f"{'effort':>8}{'ms':>9}{'of 100':>8}{'PSNR':>9}{'behind 100':>12}{'gained':>9}")
    for name, (milliseconds, decibels) in points.items():
        line = lowest + (milliseconds - fastest) / (slowest - fastest) * (highest - lowest)
        share = f"{milliseconds / slowest:.0%}"
        print(f"{name:>8}{milliseconds:9.1f}{share:>8}{decibels:9.3f}{highest - decibels:12.3f}{decibels - line:9.3f}")
    if json:
        write_times(json, times, data=title, scale=scale, psnr_y=quality, options=options)
    if plot:
        draw(plot, points, title)


def draw(path: Path, points: dict[str, tuple[float, float]], title: str) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "upres"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    curve = sorted(point for name, point in points.items() if name != DEFAULT)
    axes.plot(*zip(points["0"], points["100"], strict=True), color="tab:gray", linestyle="--", label="straight line")
    axes.plot(*zip(*curve, strict=True), color="tab:red", marker="o", label="effort 0 to 100")
    axes.plot(*points[DEFAULT], color="tab:blue", marker="*", markersize=14, linestyle="", label="default")
    axes.set(xlabel="milliseconds a picture", ylabel="PSNR on Y, dB", title=title)
    axes.grid(alpha=0.2)
    axes.legend(loc="lower right")
    figure.savefig(path, metadata={"Date": None})


def chosen(folders: list[Path], scale: int, smallest: float, most: int | None) -> list[Pair]:
    """Of the folders' pictures those of enough LR megapixels, spread over all of them if there are more than wanted."""
    pairs = [pair for folder in folders for pair in find_pairs(folder, scale)]
    if smallest:
        pairs = [pair for pair in pairs if (lr := pair.load()[0]).shape[0] * lr.shape[1] >= smallest * 1e6]
    return pairs[:: -(-len(pairs) // most)] if most else pairs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a data set (repeatable)")
    parser.add_argument("--model", default="auto", help="a model of several branches")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--smallest", type=float, default=0, help="LR megapixels; smaller pictures are left out")
    parser.add_argument("--most", type=int, help="pictures that are taken at most")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    found = chosen(arguments.data, arguments.scale, arguments.smallest, arguments.most)
    name = f"{', '.join(folder.name for folder in arguments.data)}, {arguments.precision}, {arguments.threads} threads"
    main(
        found,
        name,
        arguments.model,
        arguments.scale,
        arguments.rounds,
        arguments.json,
        arguments.plot,
        engine=arguments.engine,
        precision=arguments.precision,
        threads=arguments.threads,
    )
