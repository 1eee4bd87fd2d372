"""The Upscaler: any picture in, a larger one of the same kind out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from upres.errors import ImageError, ModelError
from upres.images import Picture, Rows, resize_bands
from upres.images.pillow import from_pillow, to_pillow
from upres.runtime.bands import blended, joined
from upres.runtime.bundle import branches_of, router_of
from upres.runtime.card import Card
from upres.runtime.engines import ENGINES, PRECISIONS, Engine, open_engine
from upres.runtime.engines.openvino import has_bf16
from upres.runtime.graph import hardness_graph, picture_graph
from upres.runtime.model import Model, bundled, load_model
from upres.runtime.processor import adds_byte_products, gains_by_bytes
from upres.runtime.router import Router, Use
from upres.runtime.routing import EffortMap
from upres.runtime.samples import REACH, AnyRows, Samples, spread, upscale_tile
from upres.runtime.saturation import saturates
from upres.runtime.tiles import SIDES, Tile, plan

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["DENOISE", "LOW_QUALITY", "MAX_SCALE", "Upscaler", "models"]

DENOISE = ("auto", "on", "off")
VARIANT = "_jpeg"  # what follows a family's name in that of its variant for compressed pictures
INT8 = "_int8"  # likewise, of its twin that computes in int8
INT8_LOSS = 0.05  # dB of PSNR, mean of the data sets on both cards; what a twin may lose to be taken unasked
LOW_QUALITY = 85
"""JPEGs of a quality below this are taken for compressed pictures: there `fast_jpeg_x4` overtakes `fast_x4` (Set14,
benchmarks/denoise.py)."""

MAX_SCALE = 32
WHOLE = 2**20  # pixels; what no picture that runs whole is above
SMALL = 384  # pixels; pictures with no longer side run whole, by the code for any shape
BAND = 256  # rows that bicubic gets at once
OVERLAP = 64  # LR pixels over which tiles are blended, of models whose halo is the whole picture
BICUBIC_REST = 1.25  # what bicubic adds to the largest model before another pass is worth its time

AnyImage = TypeVar("AnyImage", "NDArray[Any]", "Picture", "Image.Image")


def models() -> list[Card]:
    """The cards of the bundled models."""
    return [load_model(path).card for path in bundled().values()]


class Upscaler:
    """Makes pictures larger with one family of models; made once, used for many.

    Args:
        model: a bundled family (``fast``), a bundled model (``fast_x3``) or the path of an
            ``.onnx`` file. Of a family, the model of the next larger scale is taken.
        scale: how much larger, any number above 0 up to 32. What the model's own scale leaves
            over is done by bicubic resizing; above the largest model's scale, models
            follow each other.
        denoise: whether to take the variant for compressed pictures, ``fast_jpeg_x3`` for
            ``fast_x3``: ``on``; ``off``; or ``auto``, for JPEG files of a quality below 85
            (`LOW_QUALITY`), `Picture` and Pillow's opened ones, if there is a variant of that
            scale; arrays do not tell. Of models that follow each other, only the first one's is taken.
        engine: ``openvino`` or ``onnxruntime``.
        precision: what convolutions compute in. ``int8`` takes the model's twin that does, ``fast_int8_x3`` for
            ``fast_x3``; ``bf16`` (OpenVINO only) and ``f32`` compute the model itself. ``auto`` is int8 on x86 and
            where the processor has ARM's dot product, if the twin's card states a loss of at most 0.05 dB; else bf16
            where the processor has it; else f32. With ONNX Runtime, where int8 is slower, it is f32.
        threads: at most this many; None for all.
        tile: side of a tile in LR pixels; None chooses by the picture. The result does not
            depend on it, unless the model's halo is the whole picture: then larger pictures than
            a tile, or than 704 x 704 pixels for None, are blended of tiles that overlap.
        effort: of models with several branches (``auto``), how far from the smallest branch's work
            to the largest's it may go, the hardest parts first, in percent: 0 is the smallest branch alone, 100
            the largest. None takes what comes close to the largest, as the card says.
        budget: instead of an effort, the seconds that upscaling a picture may take; the smallest
            branch always runs. What is compiled for the first picture comes on top.

    Raises:
        ModelError: for unknown models, engines and precisions; if ``denoise`` is on but the
            model has no variant of the scale; and if an effort or a budget is given for a model of one network.
        MissingExtra: if the engine is not installed.
        ValueError: if the scale, the effort, the budget, the threads or the tile is out of range, both an effort and a
            budget are given, or ``denoise`` is none of its values.
    """

    def __init__(
        self,
        model: str | Path = "fast",
        *,
        scale: float = 4,
        denoise: str = "auto",
        engine: str = "openvino",
        precision: str = "auto",
        threads: int | None = None,
        tile: int | None = None,
        effort: float | None = None,
        budget: float | None = None,
    ) -> None:
        if not 0 < float(scale) <= MAX_SCALE:
            raise ValueError(f"scale must be above 0 and at most {MAX_SCALE}, not {scale}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        if tile is not None and tile < 1:
            raise ValueError(f"tile must be at least 1, not {tile}")
        if denoise not in DENOISE:
            raise ValueError(f"denoise must be {', '.join(DENOISE[:-1])} or {DENOISE[-1]}, not {denoise!r}")
        if effort is not None and not 0 <= effort <= 100:
            raise ValueError(f"effort must be 0 to 100, not {effort}")
        if budget is not None and not budget > 0:
            raise ValueError(f"budget must be above 0 seconds, not {budget}")
        if effort is not None and budget is not None:
            raise ValueError("give effort or budget, not both")
        if engine not in ENGINES:
            raise ModelError(f"there is no engine {engine!r}: choose {' or '.join(ENGINES)}")
        if precision not in PRECISIONS:
            raise ModelError(f"there is no precision {precision!r}: choose {', '.join(PRECISIONS)}")
        self.scale = float(scale)
        self._name = str(model)
        self._family, self._variants = _family(self._name)
        self._denoise = denoise
        self._engine_options = (engine, precision, threads)
        self._effort, self._budget = effort, budget
        self._engines: dict[tuple[str, str, str], Engine] = {}
        self._chosen: dict[Path, Model] = {}
        self._last_sizes: dict[str, tuple[int, int]] = {}
        self._routers: dict[str, Router] = {}
        self._tile = tile
        # Without a scale above 1, sizes will tell which models are needed; what there is none of is said now.
        first, *_ = self.route(scale) or [self._model(scale, denoise == "on" and not self._variants)]
        if first.card.routing is None:
            self._engine(first, np.dtype(np.uint8))

    def __getstate__(self) -> dict[str, Any]:
        """All but what is compiled, for another process."""
        return self.__dict__ | {"_engines": {}, "_routers": {}}

    def __call__(self, image: AnyImage, *, size: tuple[int, int] | None = None) -> AnyImage:
        """Upscale one image.

        Args:
            image: a numpy array (H, W) or (H, W, C) with C of 1 grey, 2 grey+alpha, 3 RGB or
                4 RGBA (alpha not premultiplied), uint8, uint16, or float32 in [0, 1]; a Pillow
                image; or a `Picture`.
            size: height and width of the result; None for the scale times the image's, rounded up.

        Returns:
            The same kind: an array of the same dtype and dimensions, a Pillow image (palette
            and CMYK images become RGB, 1-bit ones grey) or a `Picture` with the same metadata. Floats are
            not clamped: a little of them may lie beyond [0, 1].

        Raises:
            ImageError: if the image is empty or of a kind not listed.
        """
        result: Any
        if isinstance(image, Picture):
            result = self._larger(image, size)
        elif isinstance(image, np.ndarray):
            image = image.astype(image.dtype.newbyteorder("="), copy=False)
            flat = image.ndim == 2
            result = self._whole(image[..., None], size)[..., 0] if flat else self._whole(image, size)
        else:
            result = to_pillow(self._larger(from_pillow(image), size))
        return cast("AnyImage", result)

    @staticmethod
    def native_scale(model: str | Path) -> int:
        """The scale of one model, without resizing; of a family, the largest."""
        return max(_family(str(model))[0])

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the result for an image of this height and width: the scale times them, rounded up."""
        height, width = (math.ceil(round(self.scale * side, 6)) for side in (height, width))  # 1.1 times 100 are 110
        return height, width

    def bands(
        self,
        pixels: Samples | Rows,
        size: tuple[int, int] | None = None,
        progress: Callable[[float], None] | None = None,
        *,
        jpeg_quality: int | None = None,
        effort_map: EffortMap | None = None,
    ) -> Iterator[Samples]:
        """The result as bands of rows, made one after the other in bounded memory.

        Args:
            pixels: (H, W, C) as in `__call__`; or such a picture's rows, of which those that a row of tiles needs
                are held. The result is the same.
            size: as in `__call__`.
            progress: called with the share that is done, 0 to 1, after every tile of the last model.
            jpeg_quality: of the JPEG that the pixels come from, 1 to 100.
            effort_map: is told which branch upscaled what, by the first model of those that follow each other.
        """
        start = time.perf_counter()
        _check(pixels)
        height, width = pixels.shape[:2]
        target = (int(size[0]), int(size[1])) if size else self.target(height, width)
        if min(target) < 1:
            raise ImageError(f"cannot make a picture of {target[1]}x{target[0]} pixels")

        factor = max(target[0] / height, target[1] / width)
        if factor > MAX_SCALE:
            raise ImageError(
                f"{target[1]}x{target[0]} is more than {MAX_SCALE} times a picture of {width}x{height}; ask for less"
            )
        rows = pixels if isinstance(pixels, Rows) else Rows.of(pixels)
        route = self.route(factor, jpeg_quality)
        if effort_map:
            _check_branches(route)
        work = [math.prod(model.card.scale for model in route[:place]) ** 2 for place in range(len(route))]
        bands = _spread_bands(rows) if not route else None
        for place, model in enumerate(route):
            last = place == len(route) - 1
            # What is done later has its share of the time still before it.
            deadline = self._budget and start + self._budget * sum(work[: place + 1]) / sum(work)
            bands = self._bands_of(rows, model, progress if last else None, deadline, None if place else effort_map)
            shape = (rows.shape[0] * model.card.scale, rows.shape[1] * model.card.scale, rows.shape[2])
            rows = Rows(shape, rows.dtype, bands)
        native = rows.shape[:2]
        assert bands is not None
        yield from bands if native == target and route else resize_bands(bands, native, target)

    def check_branches(self, factor: float) -> None:
        """Refuse to draw an effort map where one network upscales all.

        Args:
            factor: as for `route`.

        Raises:
            ModelError: if the first model has no branches.
        """
        _check_branches(self.route(factor))

    def route(self, factor: float, jpeg_quality: int | None = None) -> list[Model]:
        """The models that make a picture larger by a factor, one after the other; none where bicubic does it.

        Args:
            factor: above 0 and at most 32, the larger one of both sides.
            jpeg_quality: as in `bands`.

        Raises:
            ModelError: if denoising is on and the first has no variant.
        """
        compressed = self._denoise == "on"
        if self._denoise == "auto":
            compressed = jpeg_quality is not None and jpeg_quality < LOW_QUALITY
        route: list[Model] = []
        largest = max(self._family)
        if largest == 1:  # a model that changes how pictures look; bicubic makes them larger
            return [self._model(1, compressed)]
        while factor > largest * BICUBIC_REST:
            route.append(self._model(factor / largest, compressed and not route))
            factor /= route[-1].card.scale
        return [*route, self._model(factor, compressed and not route)] if factor > 1 else route

    def _larger(self, picture: Picture, size: tuple[int, int] | None) -> Picture:
        pixels = self._whole(picture.pixels, size, picture.jpeg_quality)
        return replace(picture, pixels=pixels, jpeg_quality=None)

    def _whole(self, pixels: Samples, size: tuple[int, int] | None, jpeg_quality: int | None = None) -> Samples:
        bands = list(self.bands(pixels, size, jpeg_quality=jpeg_quality))
        return np.ascontiguousarray(bands[0]) if len(bands) == 1 else np.concatenate(bands)

    def _model(self, factor: float, compressed: bool) -> Model:
        """The family's model of the next larger scale, or its variant for compressed pictures."""
        scale = min((scale for scale in self._family if scale >= factor), default=max(self._family))
        path = self._family[scale]
        if compressed and scale in self._variants:
            path = self._variants[scale]
        elif compressed and self._denoise == "on":
            raise ModelError(_no_variant(self._name, scale))
        if path not in self._chosen:
            self._chosen[path] = self._branch(self._in_precision(path))
        return self._chosen[path]

    def _branch(self, model: Model) -> Model:
        """The one branch that all of a picture goes through, if the effort says so."""
        if model.card.routing is None:
            if self._effort is not None or self._budget is not None:
                raise ModelError(f"{self._name} is one network, so there is no effort to choose; use --model auto")
            return model
        if self._effort in (0, 100):
            return branches_of(model)[-1 if self._effort else 0]
        return model

    def _in_precision(self, path: Path) -> Model:
        """The model of a file, or its int8 twin."""
        engine, precision, _ = self._engine_options
        model = load_model(path)
        if model.card.precision == "int8":
            if precision in ("bf16", "f32"):
                raise ModelError(f"{model.card.name} computes in int8, not {precision}; use --precision int8")
            if not adds_byte_products() and saturates(model.onnx):
                raise ModelError(
                    f"{path}: its sums overflow on this processor, which has neither VNNI nor AMX; "
                    "quantise it anew by `upres export --int8`, or take the model that it was made of"
                )
            return model
        if precision == "int8":
            if (twin := _twin(path)) is None:
                raise ModelError(f"{model.card.name} has no int8 model; use another --precision")
            return twin
        if precision == "auto" and engine == "openvino" and gains_by_bytes() and (twin := _twin(path)):
            f32, int8 = model.card.quality, twin.card.quality
            losses = [f32[name] - int8[name] for name in f32.keys() & int8.keys()]
            return twin if losses and sum(losses) / len(losses) <= INT8_LOSS else model
        return model

    def _engine(self, model: Model, dtype: np.dtype[Any], use: Use = "tiles") -> Engine:
        key = (model.card.name, dtype.name, use)
        if key not in self._engines:
            name, precision, threads = self._engine_options
            if use == "hardness":
                graph, precision = hardness_graph(router_of(model), dtype), "f32"
            else:
                graph = picture_graph(model.card, model.onnx, dtype)
            if precision in ("auto", "int8"):  # of what is not quantised
                precision = "bf16" if name == "openvino" and model.card.precision == "f32" and has_bf16() else "f32"
            self._engines[key] = open_engine(name, graph, precision, threads, windows=use == "windows")
        return self._engines[key]

    def _bands_of(
        self,
        rows: Rows,
        model: Model,
        progress: Callable[[float], None] | None,
        deadline: float | None,
        effort_map: EffortMap | None,
    ) -> Iterator[Samples]:
        """Bands of the picture at the scale of a model, of one branch or several."""
        if model.card.routing is None:
            return self._model_bands(rows, model, progress)
        if model.card.name not in self._routers:
            self._routers[model.card.name] = Router(model, self._engine, self._effort)
        return self._routers[model.card.name].bands(rows, self._model_bands, progress, deadline, effort_map)

    def _model_bands(self, rows: AnyRows, model: Model, progress: Callable[[float], None] | None) -> Iterator[Samples]:
        """Bands of the picture at the scale of a model."""
        engine, card = self._engine(model, rows.dtype), model.card
        height, width, channels = rows.shape
        tiles = self._plan(height, width, card)
        done, total = 0, sum(len(row) for row in tiles)

        def run(tile: Tile) -> Samples:
            nonlocal done
            sr = upscale_tile(engine.run, rows, tile, card.scale)
            done += 1
            if progress:
                progress(done / total)
            return sr

        assemble = blended if card.halo is None and total > 1 else joined
        yield from assemble(tiles, run, card.scale, channels, rows.dtype)

    def _plan(self, height: int, width: int, card: Card) -> list[list[Tile]]:
        """The tiles of a picture; one for all of it, if it is small or, as the last one was, of one moderate size."""
        again = self._last_sizes.get(card.name) == (height, width) and card.halo is not None
        self._last_sizes[card.name] = (height, width)
        alignment = card.alignment
        halo, small = (OVERLAP // 2, SIDES[-1]) if card.halo is None else (card.halo, SMALL)
        halo = math.ceil(halo / alignment) * alignment
        if self._tile is not None:
            side = max(self._tile, 2 * halo + alignment)
            sides = (side, side)
        elif max(height, width) <= small or (again and height * width <= WHOLE):
            sides = (height + alignment, width + alignment)
        else:
            sides = (_cheapest_side(height, halo), _cheapest_side(width, halo))
        facts = {"halo": halo, "alignment": alignment, "minimum": card.minimum}
        return list(plan(height, width, tile=sides, overlapping=card.halo is None, **facts))


def _cheapest_side(side: int, halo: int) -> int:
    """The tiles' side that computes the fewest pixels along a picture's side; on a tie the smallest, for the cache."""

    def computed(tile: int) -> int:
        return math.ceil((side - 2 * halo) / (tile - 2 * halo)) * tile

    usable = [tile for tile in SIDES if 8 * halo <= tile <= side]
    return min(usable, key=computed, default=max(side, 8 * halo))


def _families() -> dict[str, dict[int, Path]]:
    """The bundled families: scale to file of each."""
    families: dict[str, dict[int, Path]] = {}
    for name, path in bundled().items():
        family, _, scale = name.rpartition("_x")
        families.setdefault(family, {})[int(scale)] = path
    return families


def _family(name: str) -> tuple[dict[int, Path], dict[int, Path]]:
    """Scale to file of a family's models, or of the one model that a name or path means; and of their variants."""
    if name.endswith(".onnx"):
        path = Path(name)
        return {load_model(path).card.scale: path}, {}
    families = _families()
    family, _, scale = name.rpartition("_x")
    if name in families:
        family, members = name, families[name]
    elif name in bundled():
        members = {int(scale): families[family][int(scale)]}
    else:
        known = sorted({*families, *bundled()})
        raise ModelError(f"no model is called {name!r}: choose one of {', '.join(known)}, or the path of an .onnx file")
    return members, families.get(family.removesuffix(VARIANT) + VARIANT, {})


def _twin(path: Path) -> Model | None:
    """The int8 twin of a bundled model, if there is one."""
    files = bundled()
    family, _, scale = path.stem.rpartition("_x")
    name = f"{family}{INT8}_x{scale}"
    return load_model(files[name]) if path in files.values() and name in files else None


def _no_variant(name: str, scale: int) -> str:
    having = [
        f"{family.removesuffix(VARIANT)} (x{', x'.join(map(str, sorted(scales)))})"
        for family, scales in _families().items()
        if family.endswith(VARIANT)
    ]
    return (
        f"{name} has no model for compressed pictures at x{scale}, which --denoise on asks for; "
        f"{', '.join(having) or 'no bundled family'} {'have' if len(having) > 1 else 'has'} them"
    )


def _check_branches(route: list[Model]) -> None:
    if not (route and route[0].card.routing):
        raise ModelError("one network alone upscales all; --effort-map needs --model auto and 0 < --effort < 100")


def _check(pixels: Samples | Rows) -> None:
    if len(pixels.shape) != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        raise ImageError(f"an image is (H, W) or (H, W, C) with 1 to 4 channels, not {pixels.shape}")
    if 0 in pixels.shape:
        raise ImageError("the image has no pixels")
    if pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise ImageError(f"an image is uint8, uint16 or float32, not {pixels.dtype}")


def _spread_bands(rows: Rows) -> Iterator[Samples]:
    """The picture's own rows; with alpha, colours spread to where they cannot be seen."""
    height, _, channels = rows.shape
    reach = REACH if channels in (2, 4) else 0
    for start in range(0, height, BAND):
        stop = min(start + BAND, height)
        top = max(start - reach, 0)
        band = rows.window(top, min(stop + reach, height))
        yield (spread(band) if reach else band)[start - top : stop - top]
