import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from upres.errors import RecipeError
from upres.images import Picture, resize, write
from upres.training.data import Augmentation, Photographs, ahead, load_photographs
from upres.training.degradation import Pipeline

BICUBIC = Pipeline([{"name": "resize", "chance": 1.0}])


@pytest.fixture
def folder(tmp_path: Path, photograph: NDArray[np.uint8]) -> Path:
    (tmp_path / "hr").mkdir()
    write(tmp_path / "hr" / "cat.png", Picture(photograph))
    write(tmp_path / "hr" / "dog.png", Picture(np.ascontiguousarray(photograph[::-1, :101])))
    return tmp_path / "hr"


def test_lr_made_for_a_patch_is_that_of_the_whole_picture(folder: Path) -> None:
    once, anew = (load_photographs(str(folder), 2, 24, degradation=made) for made in (None, BICUBIC))
    for seed in range(10):
        (lr, hr), (lr_anew, hr_anew) = once.batch((seed,), 4, 24), anew.batch((seed,), 4, 24)
        assert torch.equal(hr, hr_anew)
        assert (lr - lr_anew).abs().max() < 1.1 / 255  # rows or columns first, as the side that shrinks more tells
        assert (lr - lr_anew).abs().mean() < 0.05 / 255
    for (lr_whole, _), (expected, _) in zip(anew.pairs(), once.pairs(), strict=True):
        assert np.array_equal(lr_whole, expected)


def test_noise_is_drawn_anew_for_every_patch_of_every_batch_and_kept_for_validation(folder: Path) -> None:
    steps = [{"name": "resize", "chance": 1.0}, {"name": "gaussian_noise", "sigma": (5.0, 5.0), "chance": 1.0}]
    flat = np.full((64, 64, 3), 100, np.uint8)
    photographs = Photographs([flat], Pipeline(steps), 2)
    first, again, other = (photographs.batch((number,), 2, 16)[0] for number in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])
    assert np.array_equal(photographs.whole_lr(0), photographs.whole_lr(0))


@pytest.mark.parametrize("suffix", ["", "x2"])
def test_lr_is_read_from_files(tmp_path: Path, folder: Path, photograph: NDArray[np.uint8], suffix: str) -> None:
    (tmp_path / "lr").mkdir()
    for name, hr in (("cat", photograph), ("dog", photograph[::-1, :101])):
        inverted = 255 - resize(hr[:, : hr.shape[1] // 2 * 2], (hr.shape[0] // 2, hr.shape[1] // 2))
        write(tmp_path / "lr" / f"{name}{suffix}.png", Picture(np.ascontiguousarray(inverted)))
    photographs = load_photographs(str(folder), 2, 16, lr=str(tmp_path / "lr"))
    for lr, hr in photographs.pairs():
        assert hr.shape[:2] == (2 * lr.shape[0], 2 * lr.shape[1])
        assert np.array_equal(255 - lr, resize(hr, lr.shape[:2]))
    lr_patches, hr_patches = photographs.batch((0,), 4, 16)
    means = (lr_patches.mean((2, 3)) + hr_patches.mean((2, 3))).flatten()
    torch.testing.assert_close(means, torch.ones(12), atol=0.02, rtol=0)

    (tmp_path / "lr" / f"dog{suffix}.png").unlink()
    with pytest.raises(RecipeError, match="holds no dog and no dogx2"):
        load_photographs(str(folder), 2, lr=str(tmp_path / "lr"))
    write(tmp_path / "lr" / f"dog{suffix}.png", Picture(np.zeros((50, 50, 3), np.uint8)))
    with pytest.raises(RecipeError, match=r"is 50x50, but .*dog.png is 101x176: not a scale of 2"):
        load_photographs(str(folder), 2, lr=str(tmp_path / "lr"))


def distinct(photographs: Photographs, change: Callable[[torch.Tensor], torch.Tensor]) -> int:
    return len({tuple(change(photographs.batch((seed,), 1, 8)[1]).flatten().tolist()) for seed in range(60)})


def test_augmentations_can_be_left_out_and_colours_permuted() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    both = [(True, True, 8), (False, True, 4), (True, False, 2), (False, False, 1)]
    for flips, turns, count in both:
        made = Photographs([image], [image[::2, ::2]], 2, Augmentation(flips, turns))
        assert distinct(made, lambda hr: hr) == count
    made = Photographs([image], [image[::2, ::2]], 2, Augmentation(False, False, True))
    assert distinct(made, lambda hr: hr) == 6
    assert distinct(made, lambda hr: hr.sort(1).values) == 1


def test_what_is_made_ahead_comes_in_order_and_errors_where_they_belong() -> None:
    seen = []

    def make(number: int) -> str:
        seen.append(threading.current_thread())
        if number == 4:
            raise KeyError(number)
        return str(number)

    made = ahead(make, range(9))
    assert [next(made) for _ in range(4)] == [(0, "0"), (1, "1"), (2, "2"), (3, "3")]
    with pytest.raises(KeyError):
        next(made)
    assert threading.main_thread() not in seen
