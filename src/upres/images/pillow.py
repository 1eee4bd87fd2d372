"""Pillow images in, Pillow images out."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from upres.errors import ImageError
from upres.images.exif import upright
from upres.images.picture import Metadata, Picture

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["from_pillow", "to_pillow"]


def from_pillow(image: Image.Image) -> Picture:
    """A Pillow image's pixels and profile; palettes, 1-bit, CMYK and the like become grey or RGB.

    Raises:
        ImageError: for 32-bit integer and float images, and objects that are no image.
    """
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise ImageError(f"upres takes a numpy array or a Pillow image, not {type(image).__name__}")
    icc = image.info.get("icc_profile")
    if image.mode in ("I", "F"):
        raise ImageError(f"Pillow images of mode {image.mode} have no fixed range; give a uint16 or float32 array")
    if image.mode == "CMYK":
        image, icc = _from_cmyk(image, icc), None
    elif image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "I;16", "I;16L", "I;16B"):
        image = image.convert("RGBA" if image.mode in ("PA", "La", "RGBa") else "RGB")
    pixels = np.asarray(image)
    if image.mode.startswith("I;16"):
        pixels = pixels.astype(np.uint16)
    exif = image.getexif()
    metadata = Metadata(icc, exif=upright(exif) if len(exif) else None, dpi=image.info.get("dpi"))
    return Picture(pixels if pixels.ndim == 3 else pixels[..., None], metadata)


def to_pillow(picture: Picture, source: Image.Image) -> Image.Image:
    """A Pillow image with the profile, EXIF and resolution that the source image had."""
    from PIL import Image

    pixels = picture.pixels
    result = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    exif = source.getexif()
    kept = {
        "icc_profile": picture.metadata.icc,
        "dpi": picture.metadata.dpi,
        "exif": exif.tobytes() if len(exif) else None,
    }
    result.info.update({key: value for key, value in kept.items() if value})
    return result


def _from_cmyk(image: Image.Image, icc: bytes | None) -> Image.Image:
    from PIL import ImageCms

    if icc is None:
        return image.convert("RGB")
    try:
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except ImageCms.PyCMSError as error:
        raise ImageError(f"the image's colour profile cannot be used: {error}") from None
    assert converted is not None
    return converted
