"""The no-reference quality of SR images after Ma, Yang, Yang and Yang.

"Learning a No-Reference Quality Metric for Single-Image Super-Resolution", CVIU 2017
(arXiv 1612.05890): a regression forest for each of three groups of statistics, and a
linear combination of what the three predict.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upres.errors import MissingExtra, ModelError
from upres.metrics.arrays import save_arrays
from upres.metrics.forest import Forest
from upres.metrics.ma_features import MaFeatures, ma_features

__all__ = ["MaModel", "ma"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MaModel:
    """What turns features into a score.

    Raises:
        ValueError: if the forests look at features that there are not, or the weights are not four numbers.
    """

    forests: tuple[Forest, Forest, Forest]
    """One for each group of `MaFeatures`, in its order."""
    linear: Array
    """(4,): a constant and the weights of the forests' predictions."""

    def __post_init__(self) -> None:
        if self.linear.shape != (4,) or not np.isfinite(self.linear).all():
            raise ValueError("the linear combination must be four finite numbers")
        for name, forest, count in zip(MaFeatures._fields, self.forests, (18, 45, 75), strict=True):
            if forest.feature.max() >= count:
                raise ValueError(f"the forest of the {count} {name} features looks at more of them")

    def __call__(self, features: MaFeatures) -> float:
        """The score of one image: about 0 (bad) to 10 (good) with the authors' model."""
        predictions = [forest(group[None])[0] for forest, group in zip(self.forests, features, strict=True)]
        return float(self.linear @ np.array([1.0, *predictions]))

    @classmethod
    def load(cls, path: Path | str) -> MaModel:
        """Read a model that `save` wrote, or ``model.mat`` of the authors' release (github.com/chaoma99/sr-metric).

        Raises:
            OSError: if the file cannot be opened.
            ModelError: if it holds no such model.
            MissingExtra: if it is MATLAB's and SciPy is not installed.
        """
        with Path(path).open("rb") as file:
            read = _read_npz if file.read(2) == b"PK" else _read_matlab
        try:
            return cls(*read(Path(path)))
        except MissingExtra:
            raise
        except Exception as error:  # damaged files make NumPy and SciPy raise of every kind
            raise ModelError(f"{path}: not a model of the metric of Ma et al. ({error})") from None

    def save(self, path: Path | str) -> None:
        """Write an ``.npz`` without pickles, atomically."""
        arrays = {
            f"{name}.{field.name}": getattr(forest, field.name)
            for name, forest in zip(MaFeatures._fields, self.forests, strict=True)
            for field in fields(Forest)
        }
        save_arrays(path, linear=self.linear, **arrays)


def _read_npz(path: Path) -> tuple[tuple[Forest, Forest, Forest], Array]:
    with np.load(path, allow_pickle=False) as file:
        first, second, third = (
            Forest(*(file[f"{name}.{field.name}"] for field in fields(Forest))) for name in MaFeatures._fields
        )
        return (first, second, third), file["linear"]


def _read_matlab(path: Path) -> tuple[tuple[Forest, Forest, Forest], Array]:
    """The layout of the ``randomforest-matlab`` package: a column a tree, node numbers from 1, 0 below leaves."""
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingExtra("SciPy", "lab") from None
    # `nodestatus` is bytes posing as text, which nothing here needs
    model = loadmat(path, struct_as_record=False, chars_as_strings=False, variable_names=["model"])["model"].item()

    def forest(rf: Any) -> Forest:
        indices = (field.astype(int) - 1 for field in (rf.lDau, rf.rDau, rf.mbest))
        columns = (*indices, rf.upper, rf.avnode)
        sizes = rf.ndtree.ravel().astype(int)
        return Forest.join(tuple(column[:size, tree] for column in columns) for tree, size in enumerate(sizes))

    first, second, third = (forest(cell.item()) for cell in model.rf.ravel())
    return (first, second, third), model.linear.ravel().astype(np.float64)


def ma(image: NDArray[np.uint8], model: MaModel | Path | str) -> float:
    """The quality of an SR image by itself; larger is better.

    Args:
        image: as for `ma_features`; whoever shaves or takes the luma (PIRM 2018 does both) does it before.
        model: the authors' ``model.mat``, or what `fit_ma` made; a path is read anew at every call.

    Raises:
        ValueError: as `ma_features`.
        ModelError: as `MaModel.load`.
    """
    features = ma_features(image)
    return (model if isinstance(model, MaModel) else MaModel.load(model))(features)
