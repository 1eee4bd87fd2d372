"""How long a 4K PNG takes to encode, by library; the reason for `upres.images.png`.

python benchmarks/png_encoding.py [rounds]
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pyvips
from pictures import photograph
from PIL import Image
from timing import interleaved

from upres import Upscaler
from upres.images import Metadata
from upres.images.png import write_png


def main(rounds: int) -> None:
    lr = photograph(540, 960)
    picture = Upscaler("fast", scale=4)(lr)
    vips = pyvips.Image.new_from_array(picture)
    pillow = Image.fromarray(picture)

    def with_upres() -> bytes:
        file = io.BytesIO()
        write_png(file, (2160, 3840, 3), picture.dtype, [picture], Metadata())
        return file.getvalue()

    def with_pillow(level: int) -> bytes:
        file = io.BytesIO()
        pillow.save(file, "PNG", compress_level=level)
        return file.getvalue()

    works: dict[str, Callable[[], bytes]] = {
        "upres": with_upres,
        "libvips, level 1, up": lambda: vips.pngsave_buffer(compression=1, filter="up"),
        "Pillow, level 1": lambda: with_pillow(1),
        "Pillow, default": lambda: with_pillow(6),
    }
    for name, milliseconds in interleaved(works, rounds).items():
        print(f"{name:22} {milliseconds:7.0f} ms   {len(works[name]()) / 1e6:6.2f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
