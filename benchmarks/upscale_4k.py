"""What a 4K result costs: `fast` in every precision of the processor, beside what people use.

    python benchmarks/upscale_4k.py [--scale 3] [--threads 2] [--rounds 21] [--json FILE]

From numpy array to numpy array, (H, W, 3) uint8, to 3840x2160. Everything in one run, in turn. The share of the
roofline is of the machine's own ceiling in the precision, which is measured after (as by `upres machine`).
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

import torch
from others import onnx_runtime, pillow_bicubic, torch_bicubic
from pictures import photograph
from PIL import Image
from timing import measured, medians, ratio, write_times

from upres import Upscaler
from upres.compression.export import load_weights
from upres.errors import ModelError
from upres.evaluation.machine import fraction, measure
from upres.networks.base import upscale_rgb8
from upres.runtime.engines import PRECISIONS
from upres.runtime.model import bundled, load_model

WIDTH, HEIGHT = 3840, 2160


def main(scale: int, threads: int, rounds: int, json: Path | None) -> None:
    lr = photograph(HEIGHT // scale, WIDTH // scale)
    name = f"fast_x{scale}"
    (_, network), (_, channels_last) = load_weights(name), load_weights(name)
    channels_last.to(memory_format=torch.channels_last)
    torch.set_num_threads(threads)

    ours = {}
    for precision in PRECISIONS:
        try:
            upscaler = Upscaler("fast", scale=scale, precision=precision, threads=threads)
        except ModelError:
            continue  # the processor does not compute in it
        ours[precision] = partial(upscaler, lr)
    in_graph = Upscaler("fast", scale=scale, engine="onnxruntime", precision="f32", threads=threads)
    times = measured(
        {
            **{f"upres {precision}": work for precision, work in ours.items()},
            "Pillow bicubic": partial(pillow_bicubic, lr, scale),
            "Pillow bicubic, image to image": partial(
                Image.fromarray(lr).resize, (WIDTH, HEIGHT), Image.Resampling.BICUBIC
            ),
            "PyTorch bicubic": partial(torch_bicubic, lr, scale),
            "PyTorch, same network": partial(upscale_rgb8, network, lr),
            "PyTorch, same network, channels last": partial(upscale_rgb8, channels_last, lr),
            "ONNX Runtime f32, same network": partial(onnx_runtime(bundled()[name], threads), lr),
            "ONNX Runtime f32, bytes in its graph": partial(in_graph, lr),
        },
        rounds,
    )

    machine = measure([threads])
    multiply_adds = load_model(bundled()[name]).card.multiply_adds * lr.shape[0] * lr.shape[1]
    moved = lr.size * (1 + scale**2)
    of_roofline = {
        precision: fraction(
            machine, precision, multiply_adds, moved, medians(times)[f"upres {precision}"] / 1000, threads
        )
        for precision in ours
        if precision != "auto"
    }
    ratios = {
        f"upres {precision}": {other: ratio(times, other, f"upres {precision}") for other in times}
        for precision in ours
    }
    print(f"{machine.processor}, {threads} of {machine.cores} cores, {lr.shape[1]}x{lr.shape[0]} to {WIDTH}x{HEIGHT}")
    print(f"medians of {rounds} rounds in turn; ratios: how many times the milliseconds of upres, medians of pairs")
    heads = "".join(f"{'/ ' + base.removeprefix('upres '):>9}" for base in ratios)
    print(f"{'':38}{'ms':>8}{heads}  of the roofline")
    for other, milliseconds in medians(times).items():
        columns = "".join(f"{ratios[base][other]:9.2f}" for base in ratios)
        share = of_roofline.get(other.removeprefix("upres "))
        print(f"{other:38}{milliseconds:8.1f}{columns}{'' if share is None else f'{share:17.0%}'}")
    if json:
        facts = {"scale": scale, "threads": threads, "multiply_adds": multiply_adds, "of_roofline": of_roofline}
        write_times(json, times, **facts, ratios=ratios, machine=machine.facts())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, choices=(2, 3, 4), default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", type=Path)
    main(**vars(parser.parse_args()))
