"""How LR is made from HR: steps in the order of the recipe, with ranges to draw from.

A pipeline's value is (H, W, 3), 0 to 255: uint8 HR at first, float32 between the steps, rounded to uint8 at the end.
A step takes it, with the LR size and the random generator; its keyword-only arguments are its keys in a recipe.
Every step may also have a ``chance``, at which it is left out otherwise.

Practical degradation of second order (Wang et al., Real-ESRGAN, arXiv:2107.10833, section 3.2) is blur, resize with a
``scale``, noise and JPEG, twice, the second time down to LR.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.special import j1

from upres.images import resize as imresize
from upres.training.checked import Count, Factor, Range, Source, Table, accepted, named

__all__ = ["STEPS", "Pipeline", "checked_steps"]

Pixels = NDArray[Any]
Size = tuple[int, int]
Kernel = Literal["bicubic", "bilinear", "area", "lanczos"]

RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Draw:
    """What a step knows beside the picture."""

    lr: Size
    """Height and width of LR."""
    random: Generator

    def uniform(self, ends: Range) -> float:
        """A number between both ends."""
        return float(self.random.uniform(*ends))


def gaussian_blur(image: Pixels, draw: Draw, *, sigma: Range, anisotropic: bool = False) -> Pixels:
    """Gaussian blur, borders replicated.

    Args:
        image: see the module.
        draw: see the module.
        sigma: standard deviation in pixels of the picture as it is at this step. Johnson et al.: 1.0, before bicubic.
        anisotropic: one deviation along each of two axes, turned by any angle.
    """
    if not anisotropic:
        deviation = draw.uniform(sigma)
        blurred: Pixels = gaussian_filter(image.astype(np.float32), (deviation, deviation, 0), mode="nearest")
        return blurred
    deviations = np.array([draw.uniform(sigma), draw.uniform(sigma)])
    angle = draw.uniform((0, np.pi))
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    precision = axes @ np.diag(1 / np.maximum(deviations, 1e-3) ** 2) @ axes.T
    places = _places(int(np.ceil(4 * deviations.max())))
    kernel = np.exp(-0.5 * np.einsum("yxi,ij,yxj->yx", places, precision, places))
    return _filtered(image, kernel)


def sinc(image: Pixels, draw: Draw, *, cutoff: Range = (np.pi / 3, np.pi), radius: Count = 10) -> Pixels:
    """A circular low-pass filter, which rings and overshoots as sharpening and JPEG do (Real-ESRGAN, equation 6).

    Args:
        image: see the module.
        draw: see the module.
        cutoff: the highest frequency that is kept, in radians per pixel; π keeps all along the axes.
        radius: of the kernel.
    """
    frequency = draw.uniform(cutoff)
    distance = np.hypot(*np.moveaxis(_places(radius), -1, 0))
    centre = distance == 0
    distance[centre] = 1
    kernel = frequency * j1(frequency * distance) / (2 * np.pi * distance)
    kernel[centre] = frequency**2 / (4 * np.pi)
    return _filtered(image, kernel)


def resize(image: Pixels, draw: Draw, *, kernel: list[Kernel] = ["bicubic"], scale: Range | None = None) -> Pixels:  # noqa: B006
    """Resize with antialiasing; bicubic is MATLAB's, the others are Pillow's.

    Args:
        image: see the module.
        draw: see the module.
        kernel: one, or several of which one is drawn.
        scale: factor of the picture's size at this step; without it, the result has the size of LR.
    """
    factor = draw.uniform(scale) if scale else 0.0
    height, width = (max(1, round(side * factor)) for side in image.shape[:2]) if scale else draw.lr
    chosen = kernel[int(draw.random.integers(len(kernel)))]
    if chosen == "bicubic":
        return imresize(image, (height, width))
    planes = [Image.fromarray(np.ascontiguousarray(image[..., channel], np.float32)) for channel in range(3)]
    return np.stack([np.asarray(plane.resize((width, height), RESAMPLING[chosen])) for plane in planes], axis=2)


def gaussian_noise(image: Pixels, draw: Draw, *, sigma: Range, grey: Factor = 0.0) -> Pixels:
    """Add white noise.

    Args:
        image: see the module.
        draw: see the module.
        sigma: standard deviation in levels of 255.
        grey: the chance that all channels get the same noise.
    """
    deviation = draw.uniform(sigma)
    channels = 1 if draw.random.random() < grey else 3
    noise = draw.random.standard_normal((*image.shape[:2], channels), np.float32)
    return image.astype(np.float32) + np.float32(deviation) * noise


def poisson_noise(image: Pixels, draw: Draw, *, scale: Range, grey: Factor = 0.0) -> Pixels:
    """Add shot noise: the light of a pixel of level v is counted in v quanta, so its variance is scale²·v.

    Args:
        image: see the module.
        draw: see the module.
        scale: of the noise's deviation.
        grey: the chance that all channels get the same noise, that of their luma.
    """
    strength = draw.uniform(scale)
    levels = image.astype(np.float32).clip(0, 255)
    if draw.random.random() < grey:
        levels = levels @ np.array([[0.299], [0.587], [0.114]], np.float32)
    noise = draw.random.poisson(levels).astype(np.float32) - levels
    return np.asarray(image + np.float32(strength) * noise)


def jpeg(image: Pixels, draw: Draw, *, quality: Annotated[Range, (1, 100)]) -> Pixels:
    """Compress and decompress with Pillow's JPEG, colours at half the resolution.

    Args:
        image: see the module.
        draw: see the module.
        quality: 1 to 100, rounded. NTIRE 2023's real-time track and Bicubic++: 90.
    """
    file = io.BytesIO()
    Image.fromarray(_bytes(image)).save(file, "JPEG", quality=round(draw.uniform(quality)), subsampling="4:2:0")
    return np.asarray(Image.open(file))


def one_of(image: Pixels, draw: Draw, *, pipelines: list[list[Table]], chances: list[float] = []) -> Pixels:  # noqa: B006
    """One of several pipelines, drawn anew for each picture.

    Args:
        image: see the module.
        draw: see the module.
        pipelines: lists of steps.
        chances: how likely each is, in any unit; empty for equally.
    """
    weights = np.array(chances or [1.0] * len(pipelines))
    chosen = int(draw.random.choice(len(pipelines), p=weights / weights.sum()))
    return _run(pipelines[chosen], image, draw)


STEPS: dict[str, Callable[..., Pixels]] = {
    "gaussian_blur": gaussian_blur,
    "sinc": sinc,
    "resize": resize,
    "gaussian_noise": gaussian_noise,
    "poisson_noise": poisson_noise,
    "jpeg": jpeg,
    "one_of": one_of,
}


class Pipeline:
    """HR (H, W, 3) uint8 to LR uint8.

    Args:
        steps: as `checked_steps` gives them.
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self.steps = steps

    def __call__(self, hr: NDArray[np.uint8], size: Size, seed: tuple[int, ...]) -> NDArray[np.uint8]:
        """Equal seeds give equal LR of a height and width."""
        return _bytes(_run(self.steps, hr, Draw(size, np.random.default_rng(seed))))


def checked_steps(steps: Any, key: str, source: Source) -> list[Table]:
    """The steps of a recipe with their options checked.

    Raises:
        RecipeError: naming the key; also if the last resize is not to the size of LR.
    """
    made = _checked(steps, key, source)
    if made and not _ends_small(made):
        raise source.error(key, ": the last resize must be without scale, to the size of LR")
    return made


def _checked(steps: Any, key: str, source: Source) -> list[Table]:
    if not isinstance(steps, list):
        raise source.error(key, f" = {steps!r}: must be a list of steps")
    made = []
    for place, step in enumerate(steps):
        where = f"{key}.{place}"
        options = dict(step) if isinstance(step, dict) else {"name": step}
        chance = accepted(options.pop("chance", 1.0), Factor, f"{where}.chance", source)
        table = named(STEPS, options, where, source)
        if table["name"] == "one_of":
            branches = table["pipelines"]
            table["pipelines"] = [
                _checked(branch, f"{where}.pipelines.{number}", source) for number, branch in enumerate(branches)
            ]
            if len(table.get("chances") or branches) != len(branches) or sum(table.get("chances") or [1]) <= 0:
                raise source.error(f"{where}.chances", ": must be one number for each pipeline, and not all 0")
        made.append({**table, "chance": chance})
    return made


def _ends_small(steps: Sequence[Table]) -> bool:
    """Whether LR's size is what comes out, whatever is drawn."""
    for step in reversed(steps):
        if step["name"] == "resize":
            return "scale" not in step and step["chance"] == 1
        if step["name"] == "one_of" and any(_resizes(branch) for branch in step["pipelines"]):
            return all(_ends_small(branch) for branch in step["pipelines"]) and step["chance"] == 1
    return False


def _resizes(steps: Sequence[Table]) -> bool:
    return any(step["name"] == "resize" or any(map(_resizes, step.get("pipelines", ()))) for step in steps)


def _run(steps: Sequence[Mapping[str, Any]], image: Pixels, draw: Draw) -> Pixels:
    for step in steps:
        options = {key: value for key, value in step.items() if key not in ("name", "chance")}
        if draw.random.random() < step["chance"]:
            image = STEPS[step["name"]](image, draw, **options)
    return image


def _bytes(image: Pixels) -> NDArray[np.uint8]:
    return image if image.dtype == np.uint8 else np.floor(image.clip(0, 255) + 0.5).astype(np.uint8)


def _places(radius: int) -> NDArray[np.float64]:
    """(side, side, 2): row and column from the centre."""
    along = np.arange(-radius, radius + 1.0)
    return np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1)


def _filtered(image: Pixels, kernel: NDArray[np.float64]) -> Pixels:
    """Filter with a point-symmetric kernel that is made to sum up to 1, borders replicated."""
    from scipy.signal import fftconvolve  # which takes a second to import

    radius = len(kernel) // 2
    padded = np.pad(image.astype(np.float32), ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    weights = (kernel / kernel.sum()).astype(np.float32)
    return np.asarray(fftconvolve(padded, weights[..., None], mode="valid", axes=(0, 1)))
