"""On which line of a TOML file every key stands, which `tomllib` does not tell."""

from __future__ import annotations

import re

__all__ = ["key_lines"]

TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""|' + r"'''.*?'''|"  # strings of several lines
    r'"(?:\\.|[^"\\])*"|' + r"'[^']*'|"
    r"#[^\n]*|\n|[][{}=,.]|"
    r"""[^][{}=,.\s#"']+""",
    re.DOTALL,
)


def key_lines(text: str) -> dict[str, int]:
    """Dotted keys to lines, counted from 1; an array's items have their number as a key, as in ``stage.0.steps``.

    Args:
        text: valid TOML.
    """
    return _Scanner(text).lines


class _Scanner:
    """Walks over the tokens of a file that a parser has taken already."""

    def __init__(self, text: str) -> None:
        found = [(match[0], text.count("\n", 0, match.start()) + 1) for match in TOKEN.finditer(text)]
        self.tokens = [(token, line) for token, line in found if not token.startswith("#")]
        self.at = 0
        self.lines: dict[str, int] = {}
        self.arrays: dict[str, int] = {}  # of tables, and the number of the latest table
        table = ""
        while self._peek(skip="\n"):
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _peek(self, skip: str = "") -> str:
        while self.at < len(self.tokens) and self.tokens[self.at][0] in tuple(skip):
            self.at += 1
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def _keys(self, end: str) -> list[str]:
        """The parts of a dotted key, up to and over the token after it."""
        parts = []
        while self._peek() != end:
            if self._peek() != ".":
                parts.append(self._peek().strip("\"'"))
            self.at += 1
        self.at += 1
        return parts

    def _header(self) -> str:
        line = self.tokens[self.at][1]
        array = self.tokens[self.at + 1][0] == "["
        self.at += 2 if array else 1
        *way, last = self._keys("]")
        self.at += array
        table = ""
        for part in way:
            table = _join(table, part)
            table = _join(table, str(self.arrays[table])) if table in self.arrays else table
        table = _join(table, last)
        if array:
            self.lines.setdefault(table, line)
            self.arrays[table] = self.arrays.get(table, -1) + 1
            table = _join(table, str(self.arrays[table]))
        self.lines[table] = line
        return table

    def _pair(self, table: str) -> None:
        line = self.tokens[self.at][1]
        key = _join(table, *self._keys("="))
        self.lines[key] = line
        self._value(key)

    def _value(self, key: str) -> None:
        opening = self._peek()
        if opening not in ("{", "["):
            while self._peek() not in ("\n", ",", "]", "}", ""):  # 1.5 and dates are several tokens
                self.at += 1
            return
        self.at += 1
        number = 0
        while self._peek(skip="\n,") not in ("}", "]"):
            if opening == "{":
                self._pair(key)
            else:
                self.lines[_join(key, str(number))] = self.tokens[self.at][1]
                self._value(_join(key, str(number)))
                number += 1
        self.at += 1


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)
