"""upres: image super-resolution that costs nothing to use.

    >>> import upres
    >>> picture = upres.upscale("photo.jpg", scale=2)     # doctest: +SKIP
    >>> array = upres.Upscaler("fast", scale=3)(array)    # doctest: +SKIP

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from upres.errors import ChallengeError, ImageError, MissingExtra, ModelError, RecipeError, UpresError
    from upres.images import Picture, read, write
    from upres.runtime import Card, Upscaler, models

__all__ = [
    "Card",
    "ChallengeError",
    "ImageError",
    "MissingExtra",
    "ModelError",
    "Picture",
    "RecipeError",
    "UpresError",
    "Upscaler",
    "__version__",
    "models",
    "read",
    "upscale",
    "write",
]

__version__ = "0.1.0"

HOMES = {
    "upres.errors": ("ChallengeError", "ImageError", "MissingExtra", "ModelError", "RecipeError", "UpresError"),
    "upres.images": ("Picture", "read", "write"),
    "upres.runtime": ("Card", "Upscaler", "models"),
}


def upscale(
    image: Any,
    *,
    scale: float = 4,
    size: tuple[int, int] | None = None,
    output: Path | str | None = None,
    model: str = "fast",
    denoise: str = "auto",
    engine: str = "openvino",
    precision: str = "auto",
    effort: float | None = None,
    budget: float | None = None,
) -> Any:
    """Make one image larger.

    Args:
        image: the path of a picture, a numpy array (H, W) or (H, W, C), uint8, uint16 or
            float32 in [0, 1], or a Pillow image.
        scale: how much larger.
        size: height and width of the result, instead of the scale.
        output: also write the result to this file, in the format that its suffix says;
            float32 is written in 16 bits where the format has them.
        model: as for `Upscaler`, which is what to keep when there are several images.
        denoise: as for `Upscaler`; ``auto`` looks at paths of JPEG files and at Pillow's opened JPEGs.
        engine: as for `Upscaler`.
        precision: as for `Upscaler`.
        effort: as for `Upscaler`.
        budget: as for `Upscaler`.

    Returns:
        The same kind that was given: an array, a Pillow image; for a path a `Picture` with
        the pixels and the file's metadata.

    Raises:
        UpresError: if the image, the model or the output cannot be used; the text says why.
        ValueError: as `Upscaler`.
    """
    from pathlib import Path

    from upres.images import Picture, read, write
    from upres.images.pillow import from_pillow
    from upres.runtime import Upscaler

    if size is not None:
        scale = 1  # the size decides; the scale only says which models to load first
    upscaler = Upscaler(
        model, scale=scale, denoise=denoise, engine=engine, precision=precision, effort=effort, budget=budget
    )
    result = upscaler(read(image) if isinstance(image, str | Path) else image, size=size)
    if output is not None:
        if isinstance(result, Picture):
            write(output, result)
        elif hasattr(result, "getexif"):
            write(output, from_pillow(result))
        else:
            pixels = result if result.ndim == 3 else result[..., None]
            if pixels.dtype.kind == "f":
                pixels = (pixels.clip(0, 1) * 65535 + 0.5).astype("uint16")
            write(output, Picture(pixels))
    return result


def __getattr__(name: str) -> Any:
    import importlib

    for home, names in HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'upres' has no attribute {name!r}")
