from pathlib import Path

import pytest

from upres.runtime import processor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n", True),
        ("processor : 0\nflags\t\t: fpu avx2 avx_vnni\n", True),
        ("processor : 0\nFeatures\t: fp asimd asimddp\n", True),
        ("processor : 0\nflags\t\t: fpu avx2 avx512f\n", False),
        ("processor : 0\nhart : 0\n", False),
    ],
)
def test_instructions_that_add_products_of_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    assert processor.adds_byte_products.__wrapped__() is expected


def test_other_systems_do_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "none")
    assert processor.adds_byte_products.__wrapped__() is False


@pytest.mark.parametrize(
    ("machine", "adds", "expected"), [("AMD64", False, True), ("arm64", False, False), ("aarch64", True, True)]
)
def test_bytes_gain_on_x86_and_where_their_products_are_added(
    monkeypatch: pytest.MonkeyPatch, machine: str, adds: bool, expected: bool
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(processor, "adds_byte_products", lambda: adds)
    assert processor.gains_by_bytes() is expected
