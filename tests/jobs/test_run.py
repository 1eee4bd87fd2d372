from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upres.errors import ImageError
from upres.images import Metadata, Picture, read, write
from upres.jobs import Job, run
from upres.runtime import Upscaler


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(scale=2)


def test_bad_files_do_not_stop_the_good_ones(tmp_path: Path, of_kind: Any, upscaler: Upscaler) -> None:
    pixels = of_kind(3, np.uint16)
    write(tmp_path / "good.png", Picture(pixels, Metadata(dpi=(72.0, 72.0))))
    (tmp_path / "bad.png").write_bytes((tmp_path / "good.png").read_bytes()[:900])
    jobs = [Job(tmp_path / f"{name}.png", tmp_path / "out" / f"{name}.png") for name in ("good", "bad", "none")]
    results = {result.job.source.stem: result for result in run(jobs, upscaler)}
    assert results["good"].error is None
    assert results["good"].size == (74, 102)
    assert "damaged" in str(results["bad"].error)
    assert "no such file" in str(results["none"].error)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]
    made = read(tmp_path / "out" / "good.png")
    assert np.array_equal(made.pixels, upscaler(pixels))
    assert made.metadata.dpi == pytest.approx((72, 72), abs=0.1)


def test_existing_targets_are_skipped_unless_told(tmp_path: Path, of_kind: Any, upscaler: Upscaler) -> None:
    write(tmp_path / "a.png", Picture(of_kind(3, np.uint8)))
    (tmp_path / "b.png").write_bytes(b"precious")
    job = Job(tmp_path / "a.png", tmp_path / "b.png")
    (result,) = run([job], upscaler)
    assert result.skipped
    assert (tmp_path / "b.png").read_bytes() == b"precious"
    (result,) = run([Job(tmp_path / "a.png", tmp_path / "nowhere" / ".." / "b.png")], upscaler)
    assert result.skipped
    (result,) = run([job], upscaler, overwrite=True, strip=True)
    assert not result.skipped
    assert read(tmp_path / "b.png").metadata == Metadata()


def test_what_is_lost_is_said_and_progress_reaches_the_end(tmp_path: Path, of_kind: Any, upscaler: Upscaler) -> None:
    write(tmp_path / "a.png", Picture(of_kind(3, np.uint16)))
    shares: list[float] = []
    job = Job(tmp_path / "a.png", tmp_path / "a.jpg")
    (result,) = run([job], upscaler, progress=lambda _, share: shares.append(share))
    assert result.notices == ("16 bits become 8 in JPEG",)
    assert shares[-1] == 1


def test_an_unexpected_failure_is_a_result_too(tmp_path: Path, of_kind: Any, upscaler: Upscaler) -> None:
    write(tmp_path / "a.png", Picture(of_kind(3, np.uint8)))

    def size(height: int, width: int) -> tuple[int, int]:
        raise RuntimeError("surprise")

    (result,) = run([Job(tmp_path / "a.png", tmp_path / "b.png")], upscaler, size=size)
    assert isinstance(result.error, ImageError)
    assert "surprise" in str(result.error)


def test_every_picture_is_judged_on_its_own(tmp_path: Path, bundle: Any) -> None:
    bundle({"fast_x2": 1.0, "fast_jpeg_x2": 0.5})
    flat = Picture(np.full((16, 16, 3), 200, np.uint8))
    jobs = []
    for number, (suffix, quality) in enumerate([("jpg", 40), ("jpg", 95), ("png", None), ("webp", 40)] * 3):
        write(tmp_path / f"{number}.{suffix}", flat, quality=quality)
        jobs.append(Job(tmp_path / f"{number}.{suffix}", tmp_path / f"out/{number}.png"))
    for result in run(jobs, Upscaler(scale=2), workers=3):
        low = int(result.job.source.stem) % 4 == 0
        assert result.models == ("fast_jpeg_x2" if low else "fast_x2",)
        assert abs(read(result.job.target).pixels.astype(int) - (100 if low else 200)).max() <= 2
    (result,) = run(jobs[:1], Upscaler(scale=0.5), overwrite=True)
    assert result.models == ()


@pytest.mark.usefixtures("cheap_windows")
def test_a_map_of_the_effort_has_the_size_of_the_source(tmp_path: Path, two_branches: Path) -> None:
    pixels = np.full((96, 192, 3), 127, np.uint8)
    pixels[:, 144:] = np.random.default_rng(0).integers(0, 256, (96, 48, 3))
    write(tmp_path / "a.png", Picture(pixels))
    job, drawn = Job(tmp_path / "a.png", tmp_path / "b.png"), tmp_path / "maps" / "map.png"
    (result,) = run([job], Upscaler(two_branches, scale=2), effort_map=drawn)
    assert result.error is None
    assert result.models == ("two_x2",)
    shown = read(drawn).pixels.astype(int)
    assert shown.shape == (96, 192, 3)
    redness = shown[..., 0] - shown[..., 2]
    assert redness[:, :144].max() < 0 < redness[:, 144:].min()


def test_without_branches_there_is_no_map_and_no_picture(tmp_path: Path, of_kind: Any, upscaler: Upscaler) -> None:
    write(tmp_path / "a.png", Picture(of_kind(3, np.uint8)))
    (result,) = run([Job(tmp_path / "a.png", tmp_path / "b.png")], upscaler, effort_map=tmp_path / "map.png")
    assert "one network alone" in str(result.error)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_map_replaces_neither_the_picture_nor_what_it_must_not(
    tmp_path: Path, of_kind: Any, two_branches: Path
) -> None:
    write(tmp_path / "a.png", Picture(of_kind(3, np.uint8)))
    (tmp_path / "c.png").write_bytes(b"precious")
    content = (tmp_path / "a.png").read_bytes()
    job, upscaler = Job(tmp_path / "a.png", tmp_path / "b.png"), Upscaler(two_branches, scale=2)
    for name, overwrite, says in (
        ("a.png", True, "is the picture or its result"),
        ("nowhere/../b.png", True, "is the picture or its result"),
        ("c.png", False, "--overwrite to replace it"),
        ("nowhere/../c.png", False, "--overwrite to replace it"),
        ("map.xyz", False, "cannot tell the format"),
    ):
        (result,) = run([job], upscaler, effort_map=tmp_path / name, overwrite=overwrite)
        assert says in str(result.error)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "c.png"]
    assert (tmp_path / "a.png").read_bytes() == content
    assert (tmp_path / "c.png").read_bytes() == b"precious"
    (result,) = run([job], upscaler, effort_map=tmp_path / "c.png", overwrite=True)
    assert result.error is None
    assert read(tmp_path / "c.png").pixels.shape == (37, 51, 3)


def test_stopping_leaves_no_partial_files(tmp_path: Path, photograph: Any, upscaler: Upscaler) -> None:
    jobs = []
    for number in range(6):
        write(tmp_path / f"{number}.png", Picture(photograph))
        jobs.append(Job(tmp_path / f"{number}.png", tmp_path / "out" / f"{number}.png"))
    results = run(jobs, upscaler, workers=2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    for path in (tmp_path / "out").iterdir():
        assert path.suffix == ".png"
        assert read(path).pixels.shape == (352, 480, 3)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_source_that_breaks_off_in_the_middle_leaves_no_file(tmp_path: Path, suffix: str) -> None:
    source, out = tmp_path / f"a.{suffix}", tmp_path / "out"
    write(source, Picture(np.random.default_rng(0).integers(0, 256, (800, 200, 3), np.uint8)))
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 3 // 4])
    shares: list[float] = []
    upscaler = Upscaler(scale=2, tile=128)
    (result,) = run([Job(source, out / "a.png")], upscaler, progress=lambda _, share: shares.append(share))
    assert 0 < shares[-1] < 1
    assert "damaged or cut short" in str(result.error)
    assert list(out.iterdir()) == []
