"""Hypothesis strategies for YAML texts in every form that a person may write, with numbered comments everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
KEYS = ("apiVersion", "kind", "name", "limits", "max_size", "pools", "zone", "require", "x", '"quoted key"', "'it''s'")
SCALARS = (
    "plain",
    "two words",
    "10 GiB",
    "5",
    "0o17",
    "1.50",
    "true",
    "~",
    "",
    "gr\N{LATIN SMALL LETTER O WITH DIAERESIS}\N{LATIN SMALL LETTER SHARP S}e \N{ROCKET}",
    "a#b",
    "http://x/y",
    "'single'",
    "'it''s'",
    "'say \"so\"'",
    r"'back\slash'",
    '"double"',
    r'"caf\u00e9 \" # no comment"',
    "'# no comment'",
    "pool.x == 5 and pool.y != 3",
)


@dataclass
class Texts:
    """Draws a text line by line."""

    draw: st.DrawFn
    comments: list[str] = field(default_factory=list)

    def pick(self, *choices: T) -> T:
        """One of several."""
        return self.draw(st.sampled_from(choices))

    def comment(self) -> str:
        """A comment like no other."""
        self.comments.append(f"c{len(self.comments)}c")
        return self.pick("#", "# ", "#  ", "## ") + self.comments[-1] + self.pick("", " ", ": more")

    def between(self, indent: int) -> list[str]:
        """Comments and empty lines between two entries."""
        found = []
        for _ in range(self.pick(0, 0, 0, 1, 2)):
            depth = self.pick(indent, indent, 0, max(indent - 1, 0), indent + 1, indent + 2)
            found.append(" " * depth + self.comment() if self.pick(True, False) else "")
        return found

    def beside(self) -> str:
        """A comment behind something, or nothing."""
        space = self.pick("", "", "", " ", "   ")
        return f"{space}{self.comment()}" if space else ""

    def value(self, indent: int, depth: int) -> tuple[str, list[str]]:
        """What stands behind a key or dash whose collection has an indentation, and the lines below."""
        form = self.pick("scalar", "scalar", "text", "block", "brackets", *(["mapping", "list"] * 2 if depth else []))
        if form == "mapping":
            return self.beside(), self.mapping(indent + self.pick(1, 2, 4), depth - 1)
        if form == "list":
            return self.beside(), self.items(indent + self.pick(1, 2, 4), depth - 1)
        if form == "block":
            return self.block(indent)
        if form == "text":
            return self.text(indent)
        if form == "brackets":
            lines = self.brackets(depth, indent + 1)
            lines[-1] += self.beside()
            return " " + lines[0], lines[1:]
        return f"{self.pick(' ', '  ')}{self.pick(*SCALARS)}{self.beside()}", []

    def block(self, indent: int) -> tuple[str, list[str]]:
        """A block of lines."""
        depth = self.pick(1, 2, 3)
        header = self.pick("|", ">") + self.pick("", "", str(depth)) + self.pick("", "-", "+")
        content = [
            self.pick("text", "- x: y", "# no comment", "", "  deeper", "end  ") for _ in range(self.pick(0, 1, 3))
        ]
        return f" {header}{self.beside()}", [" " * (indent + depth) + line if line else "" for line in content]

    def text(self, indent: int) -> tuple[str, list[str]]:
        """Plain or quoted text over several lines."""
        quote = self.pick("", "'", '"')
        more = [self.pick("goes on", "", "still on") for _ in range(self.pick(1, 2))] + ["to here"]
        if quote == '"':
            more.insert(0, r"with \" and a \ ")
        pad = " " * (indent + self.pick(1, 2, 5))
        lines = [pad + line if line else "" for line in more]
        return f" {quote}some text", [*lines[:-1], f"{lines[-1]}{quote}{self.beside()}"]

    def brackets(self, depth: int, indent: int) -> list[str]:
        """A list or mapping in brackets, on one line or several."""
        mapping, tall = self.pick(True, False), self.pick(True, False, False)
        keys = self.draw(st.lists(st.sampled_from(KEYS), max_size=3, unique=True))
        opening, closing = "{}" if mapping else "[]"
        lines = [opening]
        for number, key in enumerate(keys):
            words = self.pick("a", "'b'", '"c"', "5")
            item = self.brackets(depth - 1, indent) if depth > 0 and self.pick(False, False, True) else [words]
            item[0] = f"{key}: {item[0]}" if mapping else item[0]
            item[-1] += "," if number < len(keys) - 1 or self.pick(True, False) else ""
            if tall:
                lines[-1] += self.beside()
                lines += [line for line in self.between(indent) if line or self.pick(True, False)]
                lines += [" " * indent + item[0], *item[1:]]
            else:
                lines[-1] += self.pick("", " ") + item[0]
                lines += item[1:]
        if tall:
            lines[-1] += self.beside()
            lines.append(" " * indent + closing)
        else:
            lines[-1] += closing
        return lines

    def mapping(self, indent: int, depth: int) -> list[str]:
        """A block mapping."""
        lines: list[str] = []
        for key in self.draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True)):
            lines += self.between(indent)
            first, more = self.value(indent, depth)
            lines += [f"{' ' * indent}{key}{self.pick('', '', ' ')}:{first}", *more]
        return lines

    def items(self, indent: int, depth: int) -> list[str]:
        """A block list; a mapping or list in it may begin behind the dash."""
        lines: list[str] = []
        for _ in range(self.pick(1, 2, 3)):
            lines += self.between(indent)
            if depth and self.pick(True, False):
                inner = self.pick(self.mapping, self.items)(indent + 2, depth - 1)
                if inner[0].strip() and not inner[0].lstrip().startswith("#"):
                    inner[0] = f"{' ' * indent}- {inner[0].lstrip()}"
                else:
                    inner.insert(0, f"{' ' * indent}-{self.beside()}")
                lines += inner
            else:
                first, more = self.value(indent, depth)
                lines += [f"{' ' * indent}-{first}", *more]
        return lines

    def file(self) -> str:
        """A file of one or several documents."""
        lines = self.between(0)
        for number in range(self.pick(1, 1, 2, 3)):
            if number or self.pick(False, True):
                lines.append(f"---{self.beside()}")
            lines += self.between(0)
            lines += self.pick(self.mapping, self.mapping, self.items, lambda *_: list[str]())(0, 3)
            lines += self.between(0)
            lines += self.pick([], [], ["..."])
        text = self.pick("\n", "\n", "\r\n").join(lines)
        return text + self.pick("\n", "\n", "", "\n\n\n")


@st.composite
def files(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A text, and the word of each comment that was written into it. Some texts are no YAML."""
    texts = Texts(draw)
    return texts.file(), texts.comments
