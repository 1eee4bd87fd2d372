"""Writing pictures: atomically, with their metadata, in bands where the format allows."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from upres.errors import ImageError
from upres.images.exif import PREFIX, resized, restated, with_resolution
from upres.images.picture import Metadata, Picture, to_8_bits
from upres.images.pillow import save
from upres.images.png import write_png
from upres.images.tiff import write_tiff

__all__ = ["FORMATS", "SUFFIXES", "Format", "format_of", "notices_of", "write", "write_bands"]

JPEG_BLOCK = 65_000

Bands = Iterable[NDArray[Any]]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Format:
    """What a file format can hold."""

    suffixes: tuple[str, ...]
    bits: int
    """The most bits a sample may have."""
    alpha: bool
    side: int
    """The longest side in pixels."""
    quality: int | None
    """The default quality, 1 to 100; None where the format is always lossless."""
    exif: bool = True


FORMATS = {
    "png": Format((".png",), 16, True, 2**31 - 1, None),
    "jpeg": Format((".jpg", ".jpeg"), 8, False, 65500, 92),
    "webp": Format((".webp",), 8, True, 16383, 92),
    "avif": Format((".avif",), 12, True, 16384, 85),
    "tiff": Format((".tif", ".tiff"), 16, True, 2**31 - 1, None),
    "bmp": Format((".bmp",), 8, False, 65535, None, exif=False),
    "gif": Format((".gif",), 8, True, 65535, None, exif=False),
}

SUFFIXES = frozenset(suffix for form in FORMATS.values() for suffix in form.suffixes)


def format_of(path: Path) -> str:
    """The format that a file's name asks for.

    Raises:
        ImageError: if the suffix is none that upres writes.
    """
    for name, form in FORMATS.items():
        if path.suffix.lower() in form.suffixes:
            return name
    raise ImageError(f"{path}: cannot tell the format from the name; end it in .{', .'.join(FORMATS)}")


def write(path: Path | str, picture: Picture, *, format: str | None = None, quality: int | None = None) -> None:
    """Write a whole picture; see `write_bands`."""
    pixels = picture.pixels
    write_bands(path, pixels.shape, pixels.dtype, [pixels], picture.metadata, format=format, quality=quality)


def write_bands(
    path: Path | str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    bands: Bands,
    metadata: Metadata,
    *,
    format: str | None = None,
    quality: int | None = None,
) -> None:
    """Write a picture that comes in bands of rows; PNG, JPEG and TIFF never hold more than some bands.

    The file appears under its name only when it is whole: it is written beside the target
    under a temporary name, flushed and renamed.

    Args:
        path: the target; its suffix gives the format unless ``format`` does.
        shape: height, width and channels (1 to 4) of the whole picture.
        dtype: uint8 or uint16; formats of fewer bits are written in theirs (see `notices_of`).
        bands: (h, W, C) arrays from top to bottom.
        quality: 1 to 100 for JPEG, WebP and AVIF; 100 is lossless in the latter two.

    Raises:
        ImageError: if there is no such format or quality, the format cannot hold the picture, or the file cannot be
            written.
    """
    path = Path(path)
    name = format or format_of(path)
    if name not in FORMATS:
        raise ImageError(f"format {name}: upres writes {', '.join(FORMATS)}")
    if quality is not None and not 1 <= quality <= 100:
        raise ImageError(f"quality {quality}: is from 1 to 100")
    form = FORMATS[name]
    height, width, channels = shape
    if min(height, width) < 1 or channels not in (1, 2, 3, 4):
        raise ImageError(f"{path}: a picture has pixels of 1 to 4 channels, not the shape {shape}")
    if max(height, width) > form.side:
        raise ImageError(
            f"{path}: {width}x{height} is too large for {name.upper()} "
            f"(at most {form.side} pixels a side); choose --format png or tiff"
        )
    if channels in (2, 4) and not form.alpha:
        raise ImageError(f"{path}: {name.upper()} cannot hold transparency; choose --format png, webp, avif or tiff")
    if dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: pictures are written from uint8 or uint16, not {dtype}")
    if name == "jpeg" and max(len(block or b"") for block in (metadata.exif, metadata.xmp)) > JPEG_BLOCK:
        raise ImageError(f"{path}: the EXIF or XMP is too long for JPEG; choose another --format or --strip")
    if metadata.exif:
        metadata = replace(metadata, exif=resized(metadata.exif, height, width))
    if metadata.xmp:
        sizes = {"exif:PixelXDimension": width, "exif:PixelYDimension": height}
        sizes |= {"tiff:ImageWidth": width, "tiff:ImageLength": height}
        metadata = replace(metadata, xmp=restated(metadata.xmp, sizes))
    chosen = form.quality if quality is None else quality
    _atomically(path, lambda file: WRITERS[name](file, (height, width, channels), dtype, bands, metadata, chosen))


def notices_of(name: str, dtype: np.dtype[Any], metadata: Metadata) -> tuple[str, ...]:
    """What a format will not keep of a picture, in sentences for a person."""
    form, notices = FORMATS[name], []
    if dtype == np.uint16 and form.bits < 16:
        notices.append(f"16 bits become {form.bits} in {name.upper()}")
    if not form.exif and (metadata.exif or metadata.icc):
        notices.append(f"{name.upper()} cannot hold EXIF or a colour profile; they are left out")
    if name == "gif":
        notices.append("GIF holds 256 colours")
    return tuple(notices)


def _atomically(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    part = path.with_name(f".upres-{os.urandom(6).hex()}.part")
    try:
        try:
            with part.open("x+b") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise ImageError(f"{path}: the folder {path.parent} does not exist") from None
        raise ImageError(f"{path}: cannot be written ({error.strerror or error})") from None


def _png(file: BinaryIO, shape: Shape, dtype: np.dtype[Any], bands: Bands, metadata: Metadata, _: int | None) -> None:
    write_png(file, shape, dtype, bands, metadata)


def _tiff(file: BinaryIO, shape: Shape, dtype: np.dtype[Any], bands: Bands, metadata: Metadata, _: int | None) -> None:
    write_tiff(file, shape, dtype, bands, metadata)


def _jpeg(file: BinaryIO, shape: Shape, _: object, bands: Bands, metadata: Metadata, quality: int | None) -> None:
    from upres.images.jpeg import write_jpeg

    assert quality is not None
    write_jpeg(file, shape, _bytes(bands), metadata, quality)


def _webp(file: BinaryIO, shape: Shape, _: object, bands: Bands, metadata: Metadata, quality: int | None) -> None:
    pixels, metadata = _coloured(_whole(shape, _bytes(bands)), metadata)
    if metadata.dpi:
        metadata = replace(metadata, exif=with_resolution(metadata.exif, metadata.dpi))
    options = {"quality": quality, "lossless": quality == 100, "exact": True, "method": 2}
    save(file, "WEBP", _pillow_image(pixels.shape, [pixels]), metadata, **options)


def _avif(file: BinaryIO, shape: Shape, dtype: np.dtype[Any], bands: Bands, metadata: Metadata, q: int | None) -> None:
    image = _vips(*_coloured(_whole(shape, bands), metadata))
    options = {"Q": q, "lossless": q == 100, "effort": 1, "bitdepth": 12 if dtype == np.uint16 else 8}
    file.write(image.heifsave_buffer(compression="av1", keep=_kept(metadata), **options))


def _gif(file: BinaryIO, shape: Shape, _: object, bands: Bands, metadata: Metadata, __: int | None) -> None:
    file.write(_vips(_whole(shape, _bytes(bands)), metadata).gifsave_buffer(keep="none"))


def _bmp(file: BinaryIO, shape: Shape, _: object, bands: Bands, metadata: Metadata, __: int | None) -> None:
    save(file, "BMP", _pillow_image(shape, bands), Metadata(dpi=metadata.dpi))


WRITERS = {"png": _png, "jpeg": _jpeg, "webp": _webp, "avif": _avif, "tiff": _tiff, "bmp": _bmp, "gif": _gif}


def _coloured(pixels: NDArray[Any], metadata: Metadata) -> tuple[NDArray[Any], Metadata]:
    """Grey with a grey profile as sRGB, for formats that store grey as RGB, which that profile does not fit."""
    if pixels.shape[2] > 2 or not metadata.icc:
        return pixels, metadata
    grey = _vips(np.ascontiguousarray(pixels[..., :1]), Metadata(metadata.icc))
    colour = grey.icc_transform("srgb", embedded=True, depth=8 * pixels.itemsize)
    made = np.concatenate([colour.numpy(), pixels[..., 1:]], axis=2)
    return made, replace(metadata, icc=bytes(colour.get("icc-profile-data")))


def _kept(metadata: Metadata) -> int:
    """The metadata that libvips shall write, as its flags; left alone it makes EXIF up."""
    exif = metadata.exif is not None or metadata.dpi is not None
    return 1 * exif | 2 * (metadata.xmp is not None) | 8 * (metadata.icc is not None)


def _bytes(bands: Bands) -> Bands:
    return (to_8_bits(band) if band.dtype == np.uint16 else band for band in bands)


def _whole(shape: Shape, bands: Bands) -> NDArray[Any]:
    """The picture for encoders that need all of it."""
    image: NDArray[Any] | None = None
    start = 0
    for band in bands:
        if image is None:
            image = np.empty(shape, band.dtype)
        image[start : start + len(band)] = band
        start += len(band)
    assert image is not None
    return image


def _pillow_image(shape: tuple[int, ...], bands: Bands) -> Any:
    """The picture for encoders of Pillow, which holds RGB in four bytes a pixel: it alone, no array beside it."""
    from PIL import Image

    height, width, channels = shape
    image, top = Image.new(("L", "LA", "RGB", "RGBA")[channels - 1], (width, height)), 0
    for band in _bytes(bands):
        image.paste(Image.fromarray(band[..., 0] if channels == 1 else band), (0, top))
        top += len(band)
    return image


def _vips(pixels: NDArray[Any], metadata: Metadata) -> Any:
    import pyvips

    wide, colour = pixels.dtype == np.uint16, pixels.shape[2] > 2
    interpretation = {(False, False): "b-w", (False, True): "srgb", (True, False): "grey16", (True, True): "rgb16"}
    image = pyvips.Image.new_from_array(pixels).copy(interpretation=interpretation[wide, colour])
    if metadata.icc:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", metadata.icc)
    if metadata.exif:
        image.set_type(pyvips.GValue.blob_type, "exif-data", PREFIX + metadata.exif)
    if metadata.xmp:
        image.set_type(pyvips.GValue.blob_type, "xmp-data", metadata.xmp)
    if metadata.dpi:
        image = image.copy(xres=metadata.dpi[0] / 25.4, yres=metadata.dpi[1] / 25.4)
        image.set_type(pyvips.GValue.gstr_type, "resolution-unit", "in")
    return image
