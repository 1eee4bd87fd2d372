"""Train the metric of Ma et al. from scores that people gave."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
from rich.progress import track

from upres.errors import MissingExtra
from upres.images import read
from upres.metrics.forest import Forest
from upres.metrics.ma import MaModel
from upres.metrics.ma_features import MaFeatures, ma_features

__all__ = ["fit_ma"]

MIN_SPLIT = 6  # a node of 5 images or fewer is a leaf


def fit_ma(table: Path | str, *, trees: int = 2000, seed: int = 0, quiet: bool = True) -> MaModel:
    """Fit the three forests, and by least squares the weights of their predictions.

    As in the authors' training script, a forest has 2000 trees, each of a bootstrap sample;
    a split chooses among a third of the features; the weights are fitted to what the forests
    predict for the very images that they were grown from.

    Args:
        table: a CSV file with the columns ``image`` (a path, relative to the table's folder) and
            ``score`` (larger is better; the authors' go from 0 to 10). Images as for `ma_features`.
        trees: in each forest.
        seed: equal seeds make equal models.
        quiet: no progress bar.

    Raises:
        OSError: if the table cannot be opened.
        ImageError: if an image cannot be read.
        ValueError: if the table is not as above, has fewer than 6 rows, or an image has no features.
        MissingExtra: if scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import RandomForestRegressor
    except ImportError:
        raise MissingExtra("scikit-learn", "lab") from None
    rows = _rows(Path(table))
    scores = np.array([score for _, score in rows])
    features = [_features(path) for path, _ in track(rows, "features", disable=quiet)]

    forests, predictions = [], [np.ones(len(rows))]
    for group in zip(*features, strict=True):
        samples = np.stack(group)
        regressor = RandomForestRegressor(
            trees, max_features=1 / 3, min_samples_split=MIN_SPLIT, random_state=seed
        ).fit(samples, scores)
        grown = (estimator.tree_ for estimator in regressor.estimators_)
        forest = Forest.join(
            (tree.children_left, tree.children_right, tree.feature, tree.threshold, tree.value[:, 0, 0])
            for tree in grown
        )
        forests.append(forest)
        predictions.append(forest(samples))
    linear = np.linalg.lstsq(np.stack(predictions, axis=1), scores, rcond=None)[0]
    local_frequency, global_frequency, spatial = forests
    return MaModel((local_frequency, global_frequency, spatial), linear)


def _rows(table: Path) -> list[tuple[Path, float]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            columns = lines.fieldnames or []
            rows = [(lines.line_num, line.get("image"), line.get("score")) for line in lines]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{table}: not a CSV file ({error})") from None
    if not {"image", "score"} <= set(columns):
        raise ValueError(f"{table}: its first line must name the columns image and score, not {', '.join(columns)}")
    if len(rows) < MIN_SPLIT:
        raise ValueError(f"{table}: {len(rows)} images are too few for a forest; give at least {MIN_SPLIT}")
    return [(table.parent / (image or ""), _score(score, f"{table}, line {line}")) for line, image, score in rows]


def _score(text: str | None, place: str) -> float:
    try:
        score = float(text or "")
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ValueError(f"{place}: the score must be a number, not {text!r}")
    return score


def _features(path: Path) -> MaFeatures:
    image = read(path).rgb8()
    try:
        return ma_features(image)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
