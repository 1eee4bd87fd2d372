import hashlib
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from upres.errors import UpresError
from upres.evaluation.fetch import DATA_SETS, PARAMETERS, DataSet, File, fetch_data_set, fetch_parameters, fetched


class Server:
    """Serves files with ranges, and can break off in the middle."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.break_after: int | None = None
        self.ranges: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.ranges.append(self.headers.get("Range", ""))
                content = outer.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                start = int(re.findall(r"\d+", outer.ranges[-1])[0])
                self.send_response(206)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start:][: outer.break_after])

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.http.shutdown()
    one.http.server_close()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("small/a.txt", "a" * 100_000)
        archive.writestr("small/b.txt", bytes(range(256)) * 1000)
    return buffer.getvalue()


@pytest.fixture
def small(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    content = server.files["/small.zip"] = zipped()
    checksum = f"md5:{hashlib.md5(content).hexdigest()}"
    monkeypatch.setitem(DATA_SETS, "Small", DataSet("page", (File(f"{server.url}/small.zip", checksum),)))
    return server


def test_a_set_is_fetched_checked_and_unpacked_once(small: Server, tmp_path: Path) -> None:
    there: list[tuple[int, int]] = []
    (folder,) = fetch_data_set("small", tmp_path / "data", lambda *numbers: there.append(numbers))
    assert folder == tmp_path / "data/small"
    assert (folder / "b.txt").read_bytes() == bytes(range(256)) * 1000
    assert [path.name for path in folder.parent.iterdir()] == ["small"]
    assert there[-1] == (len(small.files["/small.zip"]),) * 2
    fetch_data_set("Small", tmp_path / "data")
    assert len(small.ranges) == 1


def test_a_broken_download_goes_on_where_it_stopped(small: Server, tmp_path: Path) -> None:
    small.break_after = 150_000
    with pytest.raises(UpresError, match="the same command goes on"):
        fetch_data_set("Small", tmp_path)
    assert not (tmp_path / "small").exists()
    small.break_after = None
    (folder,) = fetch_data_set("Small", tmp_path)
    assert small.ranges == ["bytes=0-", f"bytes={2 << 16}-"]
    assert (folder / "a.txt").read_text() == "a" * 100_000


def test_another_file_is_not_taken(small: Server, tmp_path: Path) -> None:
    small.files["/small.zip"] = b"something else"
    with pytest.raises(UpresError, match="is not the file that upres knows"):
        fetch_data_set("Small", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_put_there_by_hand_is_taken(small: Server, tmp_path: Path) -> None:
    (tmp_path / "small.zip").write_bytes(small.files["/small.zip"])
    (folder,) = fetch_data_set("Small", tmp_path)
    assert (folder / "a.txt").exists()
    assert small.ranges == []


def test_what_cannot_be_fetched_is_said(small: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UpresError, match="known: DIV2K, Flickr2K, Set5, Set14, BSD100, Urban100, PIRM"):
        fetch_data_set("Set6", tmp_path)
    with pytest.raises(UpresError, match="get it from https://pirm"):
        fetch_data_set("PIRM", tmp_path)
    small.files.clear()
    with pytest.raises(UpresError, match="the server answers 404"):
        fetch_data_set("Small", tmp_path)
    monkeypatch.setitem(DATA_SETS, "Gone", DataSet("page", (File("http://127.0.0.1:9/gone.zip", None),)))
    with pytest.raises(UpresError, match="no connection"):
        fetch_data_set("Gone", tmp_path)


def test_every_archive_has_a_checksum_of_a_known_kind() -> None:
    files = [file for data_set in DATA_SETS.values() for file in data_set.files] + [
        file for name, file in PARAMETERS.items() if name != "ma"
    ]
    lengths = {"md5": 32, "sha256": 64}
    for file in files:
        assert file.checksum
        kind, _, digits = file.checksum.partition(":")
        assert re.fullmatch(f"[0-9a-f]{{{lengths[kind]}}}", digits)


def test_published_parameters_are_one_file_of_an_archive(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package-1/inner/model.npz")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"model"))
    content = server.files["/package-1.tar.gz"] = buffer.getvalue()
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    file = File(f"{server.url}/package-1.tar.gz", checksum, "package-1/inner/model.npz")
    monkeypatch.setitem(PARAMETERS, "test", file)
    monkeypatch.setattr("platformdirs.user_data_path", lambda _: tmp_path)
    with pytest.raises(UpresError, match="run `upres metrics fetch test`"):
        fetched("test")
    assert fetch_parameters("test") == fetched("test")
    assert fetched("test").read_bytes() == b"model"
    assert [path.name for path in fetched("test").parent.iterdir()] == ["model.npz"]
    with pytest.raises(UpresError, match="no parameters of 'ssim'"):
        fetch_parameters("ssim")
