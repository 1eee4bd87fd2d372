"""Reading pictures without losing anything of them.

libvips decodes: of the well-kept libraries it is the one that holds 16-bit RGB in PNG,
TIFF and AVIF, applies CMYK profiles, and says when a file is cut short. Pillow reads
BMP, which libvips does not, and EXIF.
"""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from upres.errors import ImageError
from upres.images.exif import exif_of_tiff, parse, resolution, upright
from upres.images.picture import Metadata, Picture

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["MAX_MEGAPIXELS", "read"]

MAX_MEGAPIXELS = 500.0

# libvips' names for its loaders, and the formats that upres reads with them.
LOADERS = {"Png": "png", "Jpeg": "jpeg", "Webp": "webp", "Heif": "avif", "Tiff": "tiff", "Nsgif": "gif"}


def read(path: Path | str, *, max_megapixels: float = MAX_MEGAPIXELS) -> Picture:
    """Decode a PNG, JPEG, WebP, AVIF, TIFF, BMP or GIF file, whatever its name ends in.

    The EXIF orientation is applied and reset. Palettes are expanded, CMYK and Lab become
    sRGB (CMYK through its profile), 16 bits stay 16 bits. Of several pages or frames the
    first is read, with a notice.

    Raises:
        ImageError: if the file is missing, no picture, cut short, damaged, of a sample type
            that upres does not hold, or larger than ``max_megapixels``.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise ImageError(f"{path}: not a file")
        with path.open("rb") as file:
            start = file.read(16)
        if not start:
            raise ImageError(f"{path}: the file is empty")
        if start[:2] == b"BM":
            return _read_bmp(path, max_megapixels)
        return _read_with_vips(path, max_megapixels)
    except FileNotFoundError:
        raise ImageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from None


def _read_with_vips(path: Path, max_megapixels: float) -> Picture:
    import pyvips

    try:
        source = pyvips.Source.new_from_file(os.fsencode(path))
        loader = pyvips.vips_lib.vips_foreign_find_load_source(source.pointer)
        name = pyvips.ffi.string(loader).decode() if loader else ""
        kind = next((kind for part, kind in LOADERS.items() if f"Load{part}" in name), None)
        if kind is None:
            raise ImageError(
                f"{path}: not a picture in a format that upres reads (PNG, JPEG, WebP, AVIF, TIFF, BMP, GIF)"
            )
        options = {"unlimited": True} if kind in ("png", "jpeg", "avif", "tiff") else {}
        image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="error", **options)
        _check_size(path, image.width, image.height, max_megapixels)
        exif = exif_of_tiff(path) if kind == "tiff" else parse(_blob(image, "exif-data"))
        metadata = Metadata(
            exif=upright(exif),
            xmp=_upright_xmp(_blob(image, "xmp-data")),
            dpi=_dpi(path, image, kind) or resolution(exif),
        )
        notices = _page_notice(image, kind)
        if image.get_typeof("orientation") and image.get("orientation") > 1:
            image = image.copy_memory().autorot()  # rows come in order from the file, turning needs them all
        image, icc = _to_rgb_or_grey(image)
        pixels = _pixels(path, image)
    except pyvips.Error as error:
        lines = str(error).strip().splitlines()
        raise ImageError(
            f"{path}: cannot be decoded; it may be damaged or cut short ({lines[-1] if lines else 'no details'})"
        ) from None
    return Picture(pixels, replace(metadata, icc=icc), kind, notices)


def _check_size(path: Path, width: int, height: int, max_megapixels: float) -> None:
    if width * height > max_megapixels * 1e6:
        raise ImageError(
            f"{path}: {width}x{height} is {width * height / 1e6:.0f} megapixels, more than the limit of "
            f"{max_megapixels:g}; if you trust the file, raise it with --max-megapixels"
        )


def _to_rgb_or_grey(image: Any) -> tuple[Any, bytes | None]:
    """The image with CMYK, Lab and the like made sRGB, and its profile; RGB and grey stay as they are."""
    wide = image.format in ("ushort", "short")
    if image.interpretation == "cmyk":
        alpha = image[4:] if image.bands > 4 else None
        image = image[:4] if alpha is not None else image
        image = image.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=16 if wide else 8)
        return (image if alpha is None else image.bandjoin(alpha)), _blob(image, "icc-profile-data")
    if image.interpretation in ("lab", "labs", "labq", "xyz", "lch"):
        return image.colourspace("rgb16" if wide else "srgb"), None
    return image, _blob(image, "icc-profile-data")


def _pixels(path: Path, image: Any) -> NDArray[Any]:
    if image.format not in ("uchar", "ushort"):
        raise ImageError(f"{path}: holds {image.format} samples; upres holds 8 and 16 bits: convert it first")
    if image.bands > 4:
        raise ImageError(f"{path}: has {image.bands} channels; upres holds grey, RGB and alpha")
    pixels: NDArray[Any] = image.numpy()
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _page_notice(image: Any, kind: str) -> tuple[str, ...]:
    pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
    if pages <= 1:
        return ()
    what = "page" if kind == "tiff" else "frame"
    return (f"has {pages} {what}s; only the first is upscaled",)


def _dpi(path: Path, image: Any, kind: str) -> tuple[float, float] | None:
    """Pixels per inch, or None where the file does not state them; libvips would make them up."""
    if kind == "tiff":
        x, y = image.xres * 25.4, image.yres * 25.4
        return None if (image.xres, image.yres) == (1.0, 1.0) else (round(x, 2), round(y, 2))
    if kind not in ("png", "jpeg"):
        return None
    with path.open("rb") as file:
        start = file.read(18)
        if kind == "jpeg":
            if start[6:11] != b"JFIF\0" or start[13] not in (1, 2):
                return None
            per_inch = {1: 1.0, 2: 2.54}[start[13]]
            x, y = struct.unpack(">HH", start[14:18])
            return (round(x * per_inch, 2), round(y * per_inch, 2)) if x and y else None
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            length = struct.unpack(">I", head[:4])[0]
            if head[4:] == b"pHYs":
                x, y, unit = struct.unpack(">IIB", file.read(9))
                return (round(x * 0.0254, 2), round(y * 0.0254, 2)) if unit == 1 and x and y else None
            file.seek(length + 4, io.SEEK_CUR)
    return None


def _blob(image: Any, name: str) -> bytes | None:
    return bytes(image.get(name)) if image.get_typeof(name) else None


def _upright_xmp(xmp: bytes | None) -> bytes | None:
    """XMP may repeat the orientation, which has been applied."""
    if xmp is None:
        return None
    xmp = re.sub(rb'(tiff:Orientation=["\'])\d', rb"\g<1>1", xmp)
    return re.sub(rb"(<tiff:Orientation>)\d", rb"\g<1>1", xmp)


def _read_bmp(path: Path, max_megapixels: float) -> Picture:
    from PIL import UnidentifiedImageError

    try:
        with io.BytesIO(path.read_bytes()) as file, _quietly_opened(file) as image:
            _check_size(path, image.width, image.height, max_megapixels)
            dpi = image.info.get("dpi")
            if image.mode not in ("L", "RGB", "RGBA"):
                image = image.convert("L" if image.mode == "1" else "RGB")
            pixels = np.array(image)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, struct.error) as error:
        raise ImageError(f"{path}: cannot be decoded; it may be damaged or cut short ({error})") from None
    return Picture(pixels if pixels.ndim == 3 else pixels[..., None], Metadata(dpi=dpi), "bmp")


def _quietly_opened(file: io.BytesIO) -> Image.Image:
    """Pillow's picture without its own size limit, which `_check_size` replaces."""
    from PIL import Image

    with warnings.catch_warnings(action="ignore"):
        return Image.open(file, formats=["BMP"])
