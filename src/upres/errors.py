"""What can go wrong, in sentences for the person who reads them.

UpresError
├── ImageError       a picture that cannot be read or written
├── ModelError       a model, checkpoint or engine that cannot be used
├── RecipeError      a recipe that does not say what it must
├── SearchError      a search that cannot go on, or that has found nothing
├── ChallengeError   results or a hand-in that a challenge's rules do not take
└── MissingExtra     a part of upres that is not installed
"""

from __future__ import annotations

__all__ = ["ChallengeError", "ImageError", "MissingExtra", "ModelError", "RecipeError", "SearchError", "UpresError"]


class UpresError(Exception):
    """Base of all errors that a user can cause and mend; its text says how."""


class ImageError(UpresError):
    """A picture cannot be read or written."""


class ModelError(UpresError):
    """A model, checkpoint or engine cannot be used."""


class RecipeError(UpresError):
    """A training recipe is not valid."""


class SearchError(UpresError):
    """A search cannot go on, or no network that it looked at is what was asked for."""


class ChallengeError(UpresError):
    """Results or a hand-in are not what a challenge's rules take."""


class MissingExtra(UpresError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(what, extra)  # what it is made of again when it comes from another process

    def __str__(self) -> str:
        what, extra = self.args
        return f'{what} is not installed: pip install "upres[{extra}]"'
