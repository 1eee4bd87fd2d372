from pathlib import Path

import pytest

from upres.cli.outputs import prepare


def test_what_is_read_or_written_already_is_not_written(tmp_path: Path) -> None:
    prepare(tmp_path / "new" / "a.json", None, tmp_path / "new" / "a.csv", inputs=[tmp_path / "b.json"])
    assert (tmp_path / "new").is_dir()
    with pytest.raises(ValueError, match="name another file"):
        prepare(tmp_path / "b.json", inputs=[tmp_path / "new" / ".." / "b.json"])
    with pytest.raises(ValueError, match="name another file"):
        prepare(tmp_path / "a.json", tmp_path / "a.json")
