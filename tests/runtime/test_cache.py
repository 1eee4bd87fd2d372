"""What is kept on disk is found by what it was made of; where nothing can be written, it is made each time."""

import subprocess
import sys
from pathlib import Path

import pytest

from upres.runtime.cache import kept

UPSCALES = (
    "import sys, numpy, upres\n"
    "print(upres.Upscaler('fast', scale=2)(numpy.arange(300, dtype='uint8').reshape(10, 10, 3)).tobytes().hex())\n"
    "print('onnx' in sys.modules)"
)
made: list[tuple[bytes | str | float, ...]] = []


@kept
def _joined(*facts: bytes | str | float) -> bytes:
    made.append(facts)
    return b"/".join(str(fact).encode() for fact in facts)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made.clear()


def test_what_was_made_is_found(tmp_path: Path) -> None:
    for facts in ((b"a", "b", 1.0), (b"a", "b", 1.0), (b"a", "b", 2.0), (b"ab", "", 1.0), (b"a", "b", 1.0)):
        assert _joined(*facts) == b"/".join(str(fact).encode() for fact in facts)
    assert made == [(b"a", "b", 1.0), (b"a", "b", 2.0), (b"ab", "", 1.0)]
    assert len(list((tmp_path / "cache/upres/models").iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"\xff" * 50])
def test_what_is_damaged_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    assert _joined(b"a") == b"b'a'"
    (path,) = (tmp_path / "cache/upres/models").iterdir()
    whole = path.read_bytes()
    for content in (damage, whole[:-1], whole[:40] + b"?"):
        path.write_bytes(content)
        assert _joined(b"a") == b"b'a'"
        assert path.read_bytes() == whole


def test_without_a_folder_it_is_made_each_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")  # in the folder's place
    assert _joined(b"a") == _joined(b"a")
    assert len(made) == 2


def test_a_second_process_does_without_onnx() -> None:
    first, second = (
        subprocess.run([sys.executable, "-c", UPSCALES], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    )
    assert first == [second[0], "True"]
    assert second[1] == "False"
