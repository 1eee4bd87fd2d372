"""Pillow images in, Pillow images out."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from upres.errors import ImageError
from upres.images.exif import PREFIX, restated, upright
from upres.images.picture import Metadata, Picture
from upres.images.segments import table_quality

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["from_pillow", "save", "to_pillow"]


def from_pillow(image: Image.Image) -> Picture:
    """A Pillow image's pixels, turned upright, and metadata; palettes, 1-bit, CMYK become grey or RGB.

    A colour that stands for transparency becomes alpha.

    Of an opened JPEG, as long as it is Pillow's ``JpegImageFile``, also its quality.

    Raises:
        ImageError: for 32-bit integer and float images, and objects that are no image.
    """
    from PIL import Image, ImageOps
    from PIL.JpegImagePlugin import JpegImageFile

    if not isinstance(image, Image.Image):
        raise ImageError(f"upres takes a numpy array or a Pillow image, not {type(image).__name__}")
    exif = image.getexif()
    xmp = image.info.get("xmp")
    metadata = Metadata(
        image.info.get("icc_profile"),
        exif=upright(exif.tobytes()) if len(exif) else None,
        xmp=restated(xmp, {"tiff:Orientation": 1}) if isinstance(xmp, bytes) else None,
        dpi=image.info.get("dpi"),
    )
    quality = None
    if isinstance(image, JpegImageFile) and image.layer:
        quality = table_quality(image.quantization.get(image.layer[0][3], ()))
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F"):
        raise ImageError(f"Pillow images of mode {image.mode} have no fixed range; give a uint16 or float32 array")
    if image.mode == "CMYK":
        image, metadata = _from_cmyk(image, metadata.icc), replace(metadata, icc=None)
    elif image.mode in ("1", "L", "LA", "La"):
        image = image.convert("LA" if image.has_transparency_data else "L")
    elif not image.mode.startswith("I;16"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    pixels = np.asarray(image)
    if image.mode.startswith("I;16"):
        pixels = pixels.astype(np.uint16)
        if "transparency" in image.info:
            pixels = np.dstack([pixels, np.where(pixels == image.info["transparency"], 0, 65535).astype(np.uint16)])
    return Picture(pixels if pixels.ndim == 3 else pixels[..., None], metadata, jpeg_quality=quality)


def to_pillow(picture: Picture) -> Image.Image:
    """A Pillow image that carries the picture's profile, EXIF, XMP and resolution."""
    from PIL import Image

    pixels = picture.pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.info.update(_said(picture.metadata))
    return image


def save(file: BinaryIO, name: str, image: Image.Image, metadata: Metadata, **options: Any) -> None:
    """Write an image with its metadata, EXIF as it is to the byte, in a format that Pillow names so."""
    image.save(file, name, **options, **_said(metadata))


def _said(metadata: Metadata) -> dict[str, Any]:
    """What there is of the metadata, under Pillow's names."""
    exif = None if metadata.exif is None else PREFIX + metadata.exif
    kept = {"icc_profile": metadata.icc, "exif": exif, "xmp": metadata.xmp, "dpi": metadata.dpi}
    return {key: value for key, value in kept.items() if value}


def _from_cmyk(image: Image.Image, icc: bytes | None) -> Image.Image:
    from PIL import ImageCms

    if icc is None:
        return image.convert("RGB")
    try:
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError) as error:
        raise ImageError(f"the image's colour profile cannot be used: {error}") from None
    assert converted is not None
    return converted
