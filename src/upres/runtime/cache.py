"""What is kept in the user's folder of caches, where the next process finds it: compiled networks, graphs, cards."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from hashlib import sha256
from pathlib import Path

import platformdirs

__all__ = ["cache_folder", "kept"]

Fact = bytes | str | float
DIGEST = sha256().digest_size


def cache_folder(name: str) -> Path | None:
    """A folder for what can be made again, or None where nothing can be written."""
    folder = platformdirs.user_cache_path("upres") / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def kept(make: Callable[..., bytes]) -> Callable[..., bytes]:
    """Keep on disk what a function makes of a model file: importing ONNX takes longer than reading it.

    It is found again by what it was made of and by the text of the module that made it; what is damaged is made anew.
    """
    module = Path(make.__code__.co_filename)

    @wraps(make)
    def found(*facts: Fact) -> bytes:
        texts = [module.read_bytes(), *(fact if isinstance(fact, bytes) else repr(fact).encode() for fact in facts)]
        key = sha256(b"".join(sha256(text).digest() for text in texts)).hexdigest()
        folder = cache_folder("models")
        path = folder / f"{make.__name__.strip('_')}_{key}" if folder else None
        with suppress(OSError):
            if path and (made := _whole(path.read_bytes())) is not None:
                return made
        made = make(*facts)
        if path:
            part = path.with_name(f"{path.name}.{os.urandom(6).hex()}.part")
            with suppress(OSError):
                part.write_bytes(sha256(made).digest() + made)
                part.replace(path)
        return made

    return found


def _whole(content: bytes) -> bytes | None:
    """What was kept, if it is as it was written."""
    digest, made = content[:DIGEST], content[DIGEST:]
    return made if sha256(made).digest() == digest else None
