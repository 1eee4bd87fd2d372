import threading
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from upres.errors import RecipeError, UpresError
from upres.images import Picture, make_lr, read, resize, write
from upres.training import data
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
        (lr, hr), (lr_anew, hr_anew) = once.batch((0,), seed, 4, 24), anew.batch((0,), seed, 4, 24)
        assert torch.equal(hr, hr_anew)
        assert (lr - lr_anew).abs().max() < 1.1 / 255  # rows or columns first, as the side that shrinks more tells
        assert (lr - lr_anew).abs().mean() < 0.05 / 255
    for (lr_whole, _), (expected, _) in zip(anew.pairs(), once.pairs(), strict=True):
        assert np.array_equal(lr_whole, expected)


def test_noise_is_drawn_anew_for_every_patch_of_every_batch_and_kept_for_validation(tmp_path: Path) -> None:
    steps = [{"name": "resize", "chance": 1.0}, {"name": "gaussian_noise", "sigma": (5.0, 5.0), "chance": 1.0}]
    write(tmp_path / "flat.png", Picture(np.full((64, 64, 3), 100, np.uint8)))
    photographs = load_photographs(str(tmp_path), 2, degradation=Pipeline(steps))
    first, again, other = (photographs.batch((0,), step, 2, 16)[0] for step in (3, 3, 4))
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
    lr_patches, hr_patches = photographs.batch((0,), 0, 4, 16)
    means = (lr_patches.mean((2, 3)) + hr_patches.mean((2, 3))).flatten()
    torch.testing.assert_close(means, torch.ones(12), atol=0.02, rtol=0)

    (tmp_path / "lr" / f"dog{suffix}.png").unlink()
    with pytest.raises(RecipeError, match="holds no dog and no dogx2"):
        load_photographs(str(folder), 2, lr=str(tmp_path / "lr"))
    write(tmp_path / "lr" / f"dog{suffix}.png", Picture(np.zeros((50, 50, 3), np.uint8)))
    with pytest.raises(RecipeError, match=r"is 50x50, but .*dog.png is 101x176: not a scale of 2"):
        load_photographs(str(folder), 2, lr=str(tmp_path / "lr"))


def test_at_scale_1_lr_is_hr(folder: Path) -> None:
    photographs = load_photographs(str(folder), 1, 16)
    assert all(np.array_equal(lr, hr) for lr, hr in photographs.pairs())
    assert torch.equal(*photographs.batch((0,), 0, 4, 16))


def distinct(photographs: Photographs, change: Callable[[torch.Tensor], torch.Tensor]) -> int:
    return len({tuple(change(photographs.batch((0,), step, 1, 8)[1]).flatten().tolist()) for step in range(60)})


def test_augmentations_can_be_left_out_and_colours_permuted(tmp_path: Path) -> None:
    write(tmp_path / "noise.png", Picture(np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)))

    def made(*augmentation: bool) -> Photographs:
        return load_photographs(str(tmp_path), 2, augmentation=Augmentation(*augmentation))

    for flips, turns, count in [(True, True, 8), (False, True, 4), (True, False, 2), (False, False, 1)]:
        assert distinct(made(flips, turns), lambda hr: hr) == count
    assert distinct(made(False, False, True), lambda hr: hr) == 6
    assert distinct(made(False, False, True), lambda hr: hr.sort(1).values) == 1


def test_every_patch_is_augmented_by_itself(tmp_path: Path) -> None:
    write(tmp_path / "noise.png", Picture(np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)))
    lr, hr = load_photographs(str(tmp_path), 2).batch((0,), 0, 60, 8)
    assert len({tuple(patch.flatten().tolist()) for patch in hr}) == 8
    again = make_lr(hr.permute(0, 2, 3, 1).mul(255).round().byte().numpy()[7], 2)[0]
    assert np.abs(again / 255 - lr[7].permute(1, 2, 0).numpy()).max() < 1.01 / 255  # alike in LR and HR


def test_processes_share_a_batch(folder: Path) -> None:
    photographs = load_photographs(str(folder), 2, 16, degradation=BICUBIC)
    whole = photographs.batch((0,), 5, 6, 16)
    shares = [photographs.batch((0,), 5, 6, 16, (rank, 3)) for rank in range(3)]
    for number, images in enumerate(whole):
        assert torch.equal(images, torch.cat([share[number] for share in shares]))
    with pytest.raises(ValueError, match="a batch of 6 patches cannot be shared equally by 4 processes"):
        photographs.batch((0,), 5, 6, 16, (0, 4))


SIDES = [24 + 4 * (number % 5) for number in range(48)]  # of HR
BYTES = sum(side**2 * 3 * 5 / 4 for side in SIDES)  # of HR and LR
QUARTER = BYTES / 4 / 2**30


@pytest.fixture
def many(tmp_path: Path) -> str:
    """A folder of photographs of one colour each, the red of which is their number."""
    for number, side in enumerate(SIDES):
        write(tmp_path / f"{number:02}.png", Picture(np.full((side, side, 3), number, np.uint8)))
    return str(tmp_path)


class Reading:
    """What is read, and the most bytes of it that were alive at once."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.alive = self.peak = 0
        self.lock = threading.Lock()

    def __call__(self, path: Path) -> Picture:
        picture = Picture(read(path).pixels.copy())  # whose pixels are this array's own
        with self.lock:
            self.names.append(path.name)
            self.alive += picture.pixels.nbytes
            self.peak = max(self.peak, self.alive)
        weakref.finalize(picture.pixels, self.freed, picture.pixels.nbytes)
        return picture

    def freed(self, size: int) -> None:
        self.alive -= size


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    made = Reading()
    monkeypatch.setattr(data, "read", made)
    return made


def test_what_fits_is_decoded_once(many: str, reading: Reading) -> None:
    photographs = load_photographs(many, 2, 4, memory=4.01 * QUARTER)
    assert not reading.names
    for step in range(60):
        photographs.batch((0,), step, 16, 4)
    list(photographs.pairs())
    assert sorted(reading.names) == sorted(path.name for path in Path(many).iterdir())


def test_memory_is_bounded_and_all_photographs_come_up_by_their_areas(many: str, reading: Reading) -> None:
    photographs = load_photographs(many, 2, 4, memory=QUARTER)
    rounds = 6
    area = sum((side // 2) ** 2 for side in SIDES)
    steps = rounds * area * 16 // (128 * 4**2)  # each pixel 16 times in a round
    counts: Counter[int] = Counter()
    for _, (lr, hr) in ahead(lambda step: photographs.batch((0,), step, 128, 4), range(steps)):
        assert torch.equal(lr[:, 0, 0, 0], hr[:, 0, 0, 0])
        counts.update((lr[:, 0, 0, 0] * 255).int().tolist())
    assert 0.5 * QUARTER < reading.peak * 5 / 4 / 2**30 <= QUARTER
    assert len(reading.names) < 1.2 * rounds * len(SIDES)
    for number, side in enumerate(SIDES):
        assert counts[number] == pytest.approx(128 * steps * (side // 2) ** 2 / area, rel=0.25)


def test_batches_do_not_depend_on_what_is_held(many: str) -> None:
    uninterrupted, resumed, backwards = (load_photographs(many, 2, 4, memory=QUARTER) for _ in range(3))
    batches = [uninterrupted.batch((0, 1), step, 64, 4) for step in range(90)]
    for step in range(50, 90):
        assert torch.equal(resumed.batch((0, 1), step, 64, 4)[1], batches[step][1])
    for step in range(80, 0, -20):
        assert torch.equal(backwards.batch((0, 1), step, 64, 4)[1], batches[step][1])
    assert not torch.equal(uninterrupted.batch((0, 2), 0, 64, 4)[1], batches[0][1])


def test_too_little_memory_is_said(many: str) -> None:
    with pytest.raises(RecipeError, match=r"data.memory = 1e-06: too little .* large as .*.png; set at least 0.001"):
        load_photographs(many, 2, memory=1e-6)


def test_files_that_are_no_pictures_are_named_at_once_and_damaged_ones_when_they_are_needed(folder: Path) -> None:
    cat = folder / "cat.png"
    cat.write_bytes(cat.read_bytes()[:-2000])
    photographs = load_photographs(str(folder), 2)
    with pytest.raises(UpresError, match=r"cat.png: .* cut short.*: repair or remove it, and run the same"):
        photographs.batch((0,), 0, 16, 16)
    (folder / "eel.jpg").write_text("an eel")
    with pytest.raises(RecipeError, match=r"eel.jpg: not a picture .*: repair or remove it"):
        load_photographs(str(folder), 2)


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


def test_two_photographs_of_one_name_cannot_be_paired_with_given_lr(folder: Path, tmp_path: Path) -> None:
    lr = tmp_path / "given"
    lr.mkdir()
    first = sorted(folder.iterdir())[0]
    for name in ("a.png", "a.bmp"):
        write(lr / name, read(first))
    with pytest.raises(RecipeError, match=r"a.bmp and a.png are called alike"):
        load_photographs(str(folder), 2, 8, lr=str(lr))
