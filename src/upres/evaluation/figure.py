"""The comparison figure that papers show: a region of HR and of every method, PSNR below each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from upres.errors import ImageError
from upres.evaluation.methods import Method
from upres.evaluation.pairs import Pair
from upres.images import Picture, write
from upres.metrics import luma, psnr

__all__ = ["Region", "check_regions", "comparison", "draw_comparisons", "hardest_region", "parse_regions"]

CROP = 192  # pixels of the figure, at least, for the longer side of a region
GAP = 8
FONT = 14
LINES = 3


@dataclass(frozen=True)
class Region:
    """A rectangle of an HR image, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read ``LEFT,TOP,WIDTHxHEIGHT``.

        Raises:
            ValueError: if the text is not of this form.
        """
        if not (found := re.fullmatch(r"(\d+),(\d+),(\d+)x(\d+)", text)):
            raise ValueError(f"a region is LEFT,TOP,WIDTHxHEIGHT in HR pixels, for example 120,80,64x48, not {text!r}")
        return cls(*map(int, found.groups()))

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The rectangle's pixels.

        Raises:
            ValueError: if it does not lie within the image.
        """
        pixels = image[self.top : self.top + self.height, self.left : self.left + self.width]
        if pixels.shape[:2] != (self.height, self.width) or not pixels.size:
            raise ValueError(f"{self} does not lie within an image of {image.shape[1]}x{image.shape[0]}")
        return pixels

    def __str__(self) -> str:
        return f"{self.left},{self.top},{self.width}x{self.height}"


def parse_regions(texts: Iterable[str]) -> dict[str, Region]:
    """Image to region, of texts ``IMAGE:LEFT,TOP,WIDTHxHEIGHT``; see `Region.parse`."""
    regions: dict[str, Region] = {}
    for text in texts:
        image, _, region = text.rpartition(":")
        if not image or image in regions:
            raise ValueError(
                f"{text!r} must be IMAGE:LEFT,TOP,WIDTHxHEIGHT, for example baby:120,80,64x48, once an image"
            )
        regions[image] = Region.parse(region)
    return regions


def check_regions(regions: Mapping[str, Region], pairs: Sequence[Pair]) -> None:
    """Look whether regions can be shown, before anything is upscaled.

    Raises:
        ImageError: if a region is of no image, or not within it.
    """
    known = list(dict.fromkeys(pair.name for pair in pairs))
    if unknown := sorted(set(regions) - set(known)):
        raise ImageError(f"there is no image {', '.join(unknown)}; there are {', '.join(known)}")
    for pair in pairs:
        if region := regions.get(pair.name):
            try:
                region.of(pair.load()[1])
            except ValueError as error:
                raise ImageError(f"{pair.hr}: {error}") from None


def draw_comparisons(
    folder: Path, methods: Sequence[Method], pairs: Sequence[Pair], regions: Mapping[str, Region]
) -> list[Path]:
    """Write a `comparison` of every image as PNG, or of those that regions are given for.

    Args:
        folder: where to; a figure is called as its image.
        methods: the first is the one that `hardest_region` is found by.
        pairs: the images.
        regions: image to what is shown of it; see `check_regions`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for pair in pairs:
        if regions and pair.name not in regions:
            continue
        lr, hr = pair.load()
        made = {method.name: method.run(pair.name, lr) for method in methods}
        region = regions.get(pair.name) or hardest_region(hr, made[methods[0].name])
        written.append(folder / f"{pair.name}.png")
        write(written[-1], Picture(comparison(hr, made, region, shave=pair.scale)))
    return written


def hardest_region(hr: NDArray[np.uint8], sr: NDArray[np.uint8], side: int = 64) -> Region:
    """The square where the luma of SR is furthest from HR, which is where methods differ.

    Args:
        hr: (H, W, 3) uint8.
        sr: of the same shape, for example bicubic.
        side: of the square, in pixels; smaller if the image is.
    """
    side = min(side, *hr.shape[:2])
    error = np.pad((luma(sr) - luma(hr)) ** 2, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums = error[side:, side:] - error[:-side, side:] - error[side:, :-side] + error[:-side, :-side]
    top, left = divmod(int(sums.argmax()), sums.shape[1])
    return Region(left, top, side, side)


def comparison(
    hr: NDArray[np.uint8], methods: Mapping[str, NDArray[np.uint8]], region: Region, *, shave: int
) -> NDArray[np.uint8]:
    """Draw HR with the region marked, and beside it the region of HR and of every method, enlarged without smoothing.

    Args:
        hr: (H, W, 3) uint8.
        methods: name to SR of the same shape.
        region: within HR.
        shave: for the PSNR (on Y of the whole image, in dB), which stands under each name.

    Returns:
        The figure, (height, width, 3) uint8, on white.

    Raises:
        ValueError: if the region does not lie within HR.
    """
    tiles = [("HR", "PSNR / dB", region.of(hr))]
    tiles += [(name, f"{psnr(sr, hr, shave=shave):.2f}", region.of(sr)) for name, sr in methods.items()]
    zoom = max(1, -(-CROP // max(region.width, region.height)))
    width, height = region.width * zoom, region.height * zoom
    caption = LINES * FONT
    columns = -(-len(tiles) // 2)
    rows = -(-len(tiles) // columns)
    total = rows * (height + caption + GAP)
    overview = _marked(hr, region, total - GAP)
    figure = Image.new("RGB", (overview.width + columns * (width + GAP), total), "white")
    figure.paste(overview, (0, 0))
    draw = ImageDraw.Draw(figure)
    for number, (name, value, pixels) in enumerate(tiles):
        left = overview.width + GAP + number % columns * (width + GAP)
        top = number // columns * (height + caption + GAP)
        figure.paste(Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST), (left, top))
        place = (left + width / 2, top + height + 3)
        draw.multiline_text(place, f"{name}\n{value}", "black", _font(name, width), "ma", align="center")
    return np.array(figure)


def _font(text: str, width: int) -> Any:
    """The largest font up to `FONT` in which a text is no wider."""
    fonts = (ImageFont.load_default(size) for size in range(FONT, 0, -1))
    return next((font for font in fonts if font.getlength(text) <= width), ImageFont.load_default(1))


def _marked(hr: NDArray[np.uint8], region: Region, height: int) -> Image.Image:
    """HR at a height, with a frame around the region."""
    ratio = height / hr.shape[0]
    image = Image.fromarray(hr).resize((max(1, round(hr.shape[1] * ratio)), height), Image.Resampling.LANCZOS)
    corners = (region.left, region.top, region.left + region.width, region.top + region.height)
    ImageDraw.Draw(image).rectangle([round(corner * ratio) for corner in corners], outline="red", width=2)
    return image
