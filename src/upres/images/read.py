"""Reading pictures without losing anything of them.

libvips decodes: of the well-kept libraries it is the one that holds 16-bit RGB in PNG,
TIFF and AVIF, applies CMYK profiles, and says when a file is cut short. Pillow reads
BMP and animated AVIF, which libvips' wheel does not.
"""

from __future__ import annotations

import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upres.errors import ImageError
from upres.images.chunks import png_chunks, png_notices
from upres.images.exif import exif_of_tiff, resolution, restated, upright
from upres.images.picture import Metadata, Picture
from upres.images.rows import Rows
from upres.images.segments import frame_count, jpeg_quality

__all__ = ["MAX_MEGAPIXELS", "Source", "read", "read_rows", "read_size"]

MAX_MEGAPIXELS = 500.0

YCBCR, CIELAB, JPEG_COMPRESSIONS = 6, 8, (6, 7)  # TIFF's codes
BAND = 64  # rows that are decoded at once

MISSING = re.compile(r"VipsJpeg: .*(premature end|bad \w+ code|instead of RST)", re.IGNORECASE)  # in libjpeg's words
DECODING_JPEG = threading.Lock()  # libvips collects the messages of all threads in one place

# libvips' names for its loaders, and the formats that upres reads with them.
LOADERS = {"Png": "png", "Jpeg": "jpeg", "Uhdr": "jpeg", "Webp": "webp", "Heif": "avif", "Tiff": "tiff", "Nsgif": "gif"}


@dataclass(frozen=True)
class Source:
    """A picture whose rows are decoded as they are asked for."""

    rows: Rows
    """Those that `Picture.pixels` would hold."""
    metadata: Metadata
    format: str
    notices: tuple[str, ...]
    jpeg_quality: int | None
    """This and the others are what they are in `Picture`."""


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
    with _image_errors(path):
        if kind := _kind_for_pillow(path):
            return _read_with_pillow(path, kind, max_megapixels)
        image, facts = _described_by_vips(path, max_megapixels)
        with _none_missing(facts[1]):
            pixels: NDArray[Any] = image.numpy()
        return Picture(pixels if pixels.ndim == 3 else pixels[..., None], *facts)


def read_rows(path: Path | str, *, max_megapixels: float = MAX_MEGAPIXELS) -> Source:
    """Open a file as `read` does, but decode its rows when they are asked for.

    PNG, JPEG and TIFF are never held whole unless they have to be turned upright, or are interlaced or progressive.

    Raises:
        ImageError: as `read`; what is wrong behind the header shows only when rows are asked for.
    """
    path = Path(path)
    with _image_errors(path):
        if kind := _kind_for_pillow(path):
            picture = _read_with_pillow(path, kind, max_megapixels)
            rows = Rows.of(picture.pixels)
            return Source(rows, picture.metadata, picture.format, picture.notices, picture.jpeg_quality)
        image, facts = _described_by_vips(path, max_megapixels)
        dtype = np.dtype(np.uint8 if image.format == "uchar" else np.uint16)
        shape = (image.height, image.width, image.bands)
        return Source(Rows(shape, dtype, _bands(path, facts[1], image, dtype)), *facts)


def read_size(path: Path | str, *, max_megapixels: float = MAX_MEGAPIXELS) -> tuple[int, int]:
    """Height and width of what `read` would give, from the file's header alone.

    Raises:
        ImageError: as `read`, where the header shows it.
    """
    path = Path(path)
    with _image_errors(path):
        if kind := _kind_for_pillow(path):
            with _open_with_pillow(path, kind, max_megapixels) as opened:
                return opened.height, opened.width
        image, _ = _open_with_vips(path, max_megapixels)
        lies = image.get_typeof("orientation") and image.get("orientation") > 4
        return (image.width, image.height) if lies else (image.height, image.width)


@contextmanager
def _image_errors(path: Path) -> Iterator[None]:
    """What goes wrong with a file, in sentences that name it."""
    import pyvips

    try:
        yield
    except FileNotFoundError:
        raise ImageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from None
    except pyvips.Error as error:
        detail = str(error).strip().rpartition("\n")[2].strip()
        raise ImageError(
            f"{path}: cannot be decoded; it may be damaged or cut short ({detail or 'no details'})"
        ) from None


def _kind_for_pillow(path: Path) -> str:
    """The format if Pillow reads it, else nothing."""
    if path.exists() and not path.is_file():
        raise ImageError(f"{path}: not a file")
    with path.open("rb") as file:
        start = file.read(16)
    if not start:
        raise ImageError(f"{path}: the file is empty")
    return "bmp" if start[:2] == b"BM" else "avif" if start[4:12] == b"ftypavis" else ""


def _open_with_vips(path: Path, max_megapixels: float) -> tuple[Any, str]:
    """The picture, of which the header is read, and its format."""
    import pyvips

    source = pyvips.Source.new_from_file(os.fsencode(path))
    loader = pyvips.vips_lib.vips_foreign_find_load_source(source.pointer)
    name = pyvips.ffi.string(loader).decode() if loader else ""
    kind = next((kind for part, kind in LOADERS.items() if f"Load{part}" in name), None)
    if kind is None:
        raise ImageError(f"{path}: not a picture in a format that upres reads (PNG, JPEG, WebP, AVIF, TIFF, BMP, GIF)")
    options = {"unlimited": True} if kind in ("png", "jpeg", "avif", "tiff") else {}
    if kind == "tiff":
        _check_tiff(path)
    # A JPEG with a gain map is read without it.
    image = pyvips.Operation.call(name.replace("Uhdr", "Jpeg"), source, access="sequential", fail_on="error", **options)
    _check_size(path, image.width, image.height, max_megapixels)
    return image, kind


def _described_by_vips(path: Path, max_megapixels: float) -> tuple[Any, tuple[Any, ...]]:
    """The picture, upright, of samples that upres holds, not yet decoded; and what follows pixels in `Picture`."""
    image, kind = _open_with_vips(path, max_megapixels)
    chunks = png_chunks(path) if kind == "png" else {}
    exif = exif_of_tiff(path) if kind == "tiff" else _blob(image, "exif-data")
    xmp = _blob(image, "xmp-data")
    metadata = Metadata(
        exif=upright(exif),
        xmp=None if xmp is None else restated(xmp, {"tiff:Orientation": 1}),
        dpi=_dpi(path, image, kind, chunks) or resolution(exif),
    )
    notices = _page_notice(path, image, kind, chunks) + png_notices(chunks)
    if image.get_typeof("orientation") and image.get("orientation") > 1:
        with _none_missing(kind):
            image = image.copy_memory()  # rows come in order from the file, turning needs them all
        image = image.autorot()
    image, icc = _to_rgb_or_grey(image)
    _check_samples(path, image)
    quality = jpeg_quality(path) if kind == "jpeg" else None
    return image, (replace(metadata, icc=icc), kind, notices, quality)


@contextmanager
def _none_missing(kind: str) -> Iterator[None]:
    """While pixels are decoded: an error if libjpeg warns that some are missing.

    libvips would go on, or fail on every warning; but a few bytes too many are no reason to refuse a picture.
    """
    import pyvips

    if kind != "jpeg":
        yield
        return
    with DECODING_JPEG:
        pyvips.vips_lib.vips_error_clear()
        yield
        said = pyvips.ffi.string(pyvips.vips_lib.vips_error_buffer()).decode(errors="replace")
    if MISSING.search(said):
        raise pyvips.Error("pixels are missing", said)


def _bands(path: Path, kind: str, image: Any, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Bands of rows, of which libvips decodes one at a time."""
    import pyvips

    with _image_errors(path):
        region = pyvips.Region.new(image)
        for top in range(0, image.height, BAND):
            height = min(BAND, image.height - top)
            with _none_missing(kind):
                samples = np.frombuffer(region.fetch(0, top, image.width, height), dtype)
            yield samples.reshape(height, image.width, image.bands)


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


def _check_samples(path: Path, image: Any) -> None:
    if image.format not in ("uchar", "ushort"):
        raise ImageError(f"{path}: holds {image.format} samples; upres holds 8 and 16 bits: convert it first")
    if image.bands > 4:
        raise ImageError(f"{path}: has {image.bands} channels; upres holds grey, RGB and alpha")


def _check_tiff(path: Path) -> None:
    """Refuse what libvips would decode wrongly without a word."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.pages.first
            ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
            photometric, compression, bits = page.photometric, page.compression, page.bitspersample
    except (tifffile.TiffFileError, ValueError, KeyError, IndexError, struct.error) as error:
        raise ImageError(f"{path}: cannot be decoded; it may be damaged or cut short ({error})") from None
    if max(ends, default=0) > path.stat().st_size:
        raise ImageError(f"{path}: cannot be decoded; it may be damaged or cut short (its pixels end too early)")
    if photometric == CIELAB and bits == 8:
        raise ImageError(f"{path}: holds Lab of 8 bits; convert it to RGB or to Lab of 16 bits first")
    if photometric == YCBCR and compression not in JPEG_COMPRESSIONS:
        raise ImageError(f"{path}: holds YCbCr that is not JPEG inside; convert it to RGB first")


def _page_notice(path: Path, image: Any, kind: str, chunks: dict[bytes, bytes]) -> tuple[str, ...]:
    pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
    if b"acTL" in chunks:
        pages = struct.unpack(">I", chunks[b"acTL"][:4])[0]
    if kind == "jpeg":
        pages = frame_count(path)
    return _notice(pages, "page" if kind == "tiff" else "frame")


def _notice(pages: int, what: str) -> tuple[str, ...]:
    return (f"has {pages} {what}s; only the first is upscaled",) if pages > 1 else ()


def _dpi(path: Path, image: Any, kind: str, chunks: dict[bytes, bytes]) -> tuple[float, float] | None:
    """Pixels per inch, or None where the file does not state them; libvips would make them up."""
    if kind == "tiff":
        x, y = image.xres * 25.4, image.yres * 25.4
        return None if (image.xres, image.yres) == (1.0, 1.0) else (round(x, 2), round(y, 2))
    if kind == "png":
        x, y, unit = struct.unpack(">IIB", chunks.get(b"pHYs", bytes(9)))
        return (round(x * 0.0254, 2), round(y * 0.0254, 2)) if unit == 1 and x and y else None
    if kind == "jpeg":
        with path.open("rb") as file:
            start = file.read(18)
        if start[6:11] == b"JFIF\0" and start[13] in (1, 2):
            per_inch = {1: 1.0, 2: 2.54}[start[13]]
            x, y = struct.unpack(">HH", start[14:18])
            return (round(x * per_inch, 2), round(y * per_inch, 2)) if x and y else None
    return None


def _blob(image: Any, name: str) -> bytes | None:
    return bytes(image.get(name)) if image.get_typeof(name) else None


@contextmanager
def _open_with_pillow(path: Path, kind: str, max_megapixels: float) -> Iterator[Any]:
    """What the wheel of libvips does not read: BMP, and AVIF with several frames."""
    from PIL.AvifImagePlugin import AvifImageFile
    from PIL.BmpImagePlugin import BmpImageFile

    plugin = BmpImageFile if kind == "bmp" else AvifImageFile  # Image.open has a limit of pixels of its own
    try:
        with plugin(path) as opened:
            _check_size(path, opened.width, opened.height, max_megapixels)
            yield opened
    except (OSError, ValueError, SyntaxError, struct.error) as error:
        raise ImageError(f"{path}: cannot be decoded; it may be damaged or cut short ({error})") from None


def _read_with_pillow(path: Path, kind: str, max_megapixels: float) -> Picture:
    with _open_with_pillow(path, kind, max_megapixels) as opened:
        image = opened
        if image.mode not in ("L", "RGB", "RGBA"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        pixels = np.array(image)
        metadata = Metadata(image.info.get("icc_profile"), upright(image.info.get("exif")), dpi=image.info.get("dpi"))
        notices = _notice(getattr(image, "n_frames", 1), "frame")
    return Picture(pixels if pixels.ndim == 3 else pixels[..., None], metadata, kind, notices)
