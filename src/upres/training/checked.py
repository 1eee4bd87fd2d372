"""Tables of a recipe against the signatures of what they configure.

What a recipe can configure takes its options as keyword-only arguments, and their types say what is allowed. A
newcomer's loss, schedule or degradation is therefore a function and one line in its module's table of names.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from upres.errors import RecipeError
from upres.training.lines import key_lines

__all__ = ["Count", "Factor", "Range", "Source", "Table", "arguments", "named"]

Count = Annotated[int, (1, math.inf)]
"""At least 1."""
Factor = Annotated[float, (0, 1)]
"""0 to 1."""
Range = tuple[float, float]
"""Lowest and highest of what is drawn at random; a recipe may give one number for both."""
Table = dict[str, Any]

Kind = TypeVar("Kind", bound=Callable[..., Any])

NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


class Source:
    """Where the keys of a recipe stand, for its errors.

    Args:
        name: of the file.
        text: its TOML.
    """

    def __init__(self, name: str, text: str) -> None:
        self.places = {key: f"{name}, line {line}" for key, line in key_lines(text).items()}

    def override(self, key: str, option: str) -> None:
        """From now on a key, and all below it, comes from an option of the command line."""
        self.places = {known: place for known, place in self.places.items() if not f"{known}.".startswith(f"{key}.")}
        self.places[key] = option

    def error(self, key: str, what: str) -> RecipeError:
        """An error that names the key and where it stands, or where the table stands that lacks it."""
        place = key
        while place and place not in self.places:
            place = place.rpartition(".")[0]
        return RecipeError(f"{self.places[place]}: {key}{what}" if place else f"{key}{what}")


def arguments(of: Callable[..., Any], table: Table, key: str, source: Source, *, every: bool = False) -> dict[str, Any]:
    """The keyword-only arguments of a function or class, or every one of them, from a table, checked.

    Raises:
        RecipeError: for a key that is unknown or missing, and a value that its type does not allow.
    """
    known = {
        name: parameter
        for name, parameter in inspect.signature(of, eval_str=True).parameters.items()
        if every or parameter.kind is parameter.KEYWORD_ONLY
    }
    for name in table:
        if name not in known:
            raise source.error(f"{key}.{name}", f": unknown key; known: {', '.join(known) or 'none'}")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in table:
            raise source.error(f"{key}.{name}", " is missing")
        if parameter.annotation is parameter.empty:
            raise source.error(f"{key}.{name}", f": {of.__name__}'s argument needs a type, by which it is checked")
    return {name: accepted(value, known[name].annotation, f"{key}.{name}", source) for name, value in table.items()}


def named(kinds: Mapping[str, Kind], table: Any, key: str, source: Source) -> Table:
    """A table whose ``name`` chooses a function, with its other keys checked; a bare name is a table of it alone.

    Raises:
        RecipeError: as `arguments`, and if the name is missing or unknown.
    """
    table = {"name": table} if isinstance(table, str) else table
    if not isinstance(table, dict):
        raise source.error(key, f" = {table!r}: must be a name or a table with a name")
    options = dict(table)
    if "name" not in options:
        raise source.error(f"{key}.name", f" is missing; known: {', '.join(kinds)}")
    name = options.pop("name")
    if not isinstance(name, str) or name not in kinds:
        raise source.error(f"{key}.name", f" = {name!r}: must be one of {', '.join(kinds)}")
    return {"name": name, **arguments(kinds[name], options, key, source)}


def accepted(value: Any, hint: Any, key: str, source: Source) -> Any:
    """A value as its type asks for: a single one where a list is meant, one number for both ends of a range.

    Raises:
        RecipeError: naming what the type allows.
    """
    lowest, highest = 0.0, math.inf
    if type(None) in get_args(hint):  # an option that may be left out, which TOML has no value for
        hint = get_args(hint)[0]
    if get_origin(hint) is Annotated:
        hint, (lowest, highest) = get_args(hint)
    if get_origin(hint) is Literal:
        if not isinstance(value, str) or value not in get_args(hint):
            raise source.error(key, f" = {value!r}: must be one of {', '.join(get_args(hint))}")
        return value
    if get_origin(hint) in (list, Sequence):
        items = value if isinstance(value, list) else [value]
        return [accepted(item, get_args(hint)[0], f"{key}.{place}", source) for place, item in enumerate(items)]
    if get_origin(hint) is dict and get_args(hint)[1] is not Any and isinstance(value, dict):
        return {name: accepted(item, get_args(hint)[1], f"{key}.{name}", source) for name, item in value.items()}
    if hint == Range:
        ends = value if isinstance(value, list) else [value, value]
        if len(ends) != 2 or not all(_is(end, float) for end in ends) or not ends[0] <= ends[1]:
            raise source.error(key, f" = {value!r}: must be a number or [lowest, highest]")
        _bounded(ends, lowest, highest, value, key, source)
        return ends[0], ends[1]
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (get_origin(hint) or hint,)
    if hint is not Any and not any(_is(value, kind) for kind in kinds):
        allowed = " or ".join(NAMES.get(get_origin(kind) or kind, str(kind)) for kind in kinds)
        raise source.error(key, f" = {value!r}: must be {allowed}")
    if isinstance(value, int | float):
        _bounded([value], lowest, highest, value, key, source)
    return value


def _bounded(numbers: list[float], lowest: float, highest: float, value: Any, key: str, source: Source) -> None:
    if all(lowest <= number <= highest for number in numbers):
        return
    if highest < math.inf:
        raise source.error(key, f" = {value!r}: must lie between {lowest:g} and {highest:g}")
    raise source.error(key, f" = {value!r}: must {f'be at least {lowest:g}' if lowest else 'not be negative'}")


def _is(value: Any, kind: Any) -> bool:
    kind = get_origin(kind) or kind
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
