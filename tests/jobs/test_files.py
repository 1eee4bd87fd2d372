import os
from pathlib import Path

import pytest

from upres.errors import ImageError
from upres.jobs import Job, collect


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner").mkdir()
    for name in ("a.jpg", "b.PNG", "b.jpg", "scan.tif", "notes.txt", "done_x4.png", ".upres-1.part", "inner/c.webp"):
        (tmp_path / name).touch()
    return tmp_path


def targets(jobs: list[Job], root: Path) -> dict[str, str]:
    return {str(job.source.relative_to(root)): str(job.target.relative_to(root)) for job in jobs}


def test_a_folder_gives_its_pictures_beside_themselves(folder: Path) -> None:
    assert targets(collect([str(folder)], mark="_x4"), folder) == {
        "a.jpg": "a_x4.png",
        "b.PNG": "b_PNG_x4.png",
        "b.jpg": "b_jpg_x4.png",
        "scan.tif": "scan_x4.tif",
    }


def test_recursion_keeps_the_structure_in_another_folder(folder: Path) -> None:
    jobs = collect([str(folder)], mark="_x2", output=folder / "out", recursive=True, format="jpeg")
    assert targets(jobs, folder)["inner/c.webp"] == "out/inner/c_x2.jpg"


def test_patterns_and_files_are_taken_once_and_as_named(folder: Path) -> None:
    jobs = collect([str(folder / "*.jpg"), str(folder / "a.jpg"), str(folder / "notes.txt")], mark="_x4")
    assert [job.source.name for job in jobs] == ["a.jpg", "b.jpg", "notes.txt"]


def test_names_that_would_clash_are_refused_and_one_file_is_done_once(folder: Path) -> None:
    (folder / "inner" / "a.jpg").touch()
    with pytest.raises(ImageError, match="would both become"):
        collect([str(folder / "a.jpg"), str(folder / "inner" / "a.jpg")], mark="_x4", output=folder / "out")
    again = f"{folder}/inner/../a.jpg"
    assert len(collect([str(folder / "a.jpg"), again, str(folder)], mark="_x4")) == 4
    (folder / "b.JPG").touch()
    assert len({job.target for job in collect([str(folder)], mark="_x4")}) == 5


def test_a_clash_is_seen_however_paths_are_spelled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for other in (str(folder / "b.jpg"), "inner/../b.jpg"):
        assert [job.target.name for job in collect(["b.PNG", other], mark="_x4")] == ["b_PNG_x4.png", "b_jpg_x4.png"]
    (folder / "b.JPG").touch()
    (folder / "inner" / "b.JPG").touch()
    with pytest.raises(ImageError, match="would both become"):
        collect(["b.JPG", "inner/b.JPG"], mark="_x4", output=Path("inner/../out"))


def test_an_empty_name_is_not_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for names in ([""], ["a.jpg", ""]):
        with pytest.raises(ImageError, match="'': there is no such file"):
            collect(names, mark="_x4")


def test_outputs_that_make_no_sense_are_refused(folder: Path) -> None:
    with pytest.raises(ImageError, match=r"upres writes .png, .jpeg"):
        collect([str(folder / "a.jpg")], mark="_x4", output=folder / "z.heic")
    with pytest.raises(ImageError, match="not what a file of --format png"):
        collect([str(folder / "a.jpg")], mark="_x4", output=folder / "z.jpg", format="png")


def test_names_too_long_for_the_system_are_said(folder: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        collect(["a" * 300 + ".png"], mark="_x4")


def test_one_picture_to_one_file(folder: Path) -> None:
    assert collect([str(folder / "a.jpg")], mark="_x4", output=folder / "z.webp") == [
        Job(folder / "a.jpg", folder / "z.webp")
    ]
    with pytest.raises(ImageError, match="one file, but there are several"):
        collect([str(folder)], mark="_x4", output=folder / "z.webp")


def test_a_file_whose_name_is_a_pattern_is_that_file(folder: Path) -> None:
    (folder / "a[1].jpg").touch()
    assert [job.source.name for job in collect([str(folder / "a[1].jpg")], mark="_x4")] == ["a[1].jpg"]


def test_nothing_found_is_said(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        collect([str(tmp_path / "none.jpg")], mark="_x4")
    with pytest.raises(ImageError, match="no pictures found"):
        collect([str(tmp_path)], mark="_x4")


def test_a_missing_file_does_not_stop_the_others(folder: Path) -> None:
    jobs = collect([str(folder / "none.jpg"), str(folder / "a.jpg")], mark="_x4")
    assert [job.source.name for job in jobs] == ["none.jpg", "a.jpg"]


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_link_to_itself_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert [job.source.name for job in collect([str(tmp_path)], mark="_x4")] == ["a.png", "loop.png"]
