"""Is a plain stack's latency the sum of its layers'? Two depths predict a third, which is measured beside it.

python benchmarks/additive.py [REFERENCE]

f32, an LR picture of 640x360, all cores, runs in turn with the reference (fast_x3). A convolution more in a block costs
the same each time if latency is additive: stacks of 2 and of 6 then tell that of 10. Prints milliseconds.
"""

import sys
import tempfile
from pathlib import Path

from upres.networks import NetworkSpec
from upres.runtime import bundled, load_model
from upres.search.latency import Options, Stopwatch


def main(reference: str) -> None:
    stopwatch = Stopwatch(Options(reference=reference), Path())
    scale = load_model(bundled()[reference]).card.scale
    print(f"{reference}: {stopwatch.milliseconds:.2f} ms\n")
    print("channels  downscale       2       6      10  predicted  error")
    with tempfile.TemporaryDirectory() as folder:
        for downscale in ("stride", "none"):
            for channels in (16, 32, 48):
                taken = []
                for convolutions in (2, 6, 10):
                    arguments = {"scale": scale, "channels": channels, "convolutions": convolutions}
                    spec = NetworkSpec("bicubicpp", {**arguments, "downscale": downscale, "anchor": True})
                    taken.append(stopwatch(stopwatch.model(spec, Path(folder))).milliseconds)
                predicted = 2 * taken[1] - taken[0]
                measured = "".join(f"{milliseconds:8.2f}" for milliseconds in taken)
                error = predicted / taken[2] - 1
                print(f"{channels:8}  {downscale:>9}{measured} {predicted:10.2f}  {error:+.1%}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "fast_x3")
