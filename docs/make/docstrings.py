"""Docstrings are written for the terminal, with Sphinx's roles; the site reads Markdown.

This turns one into the other. Examples become code blocks. An item of a section that has
its description where numpydoc has the type (`name : what it is`) gets it below, so that
the page shows the annotation as the type.
"""

from __future__ import annotations

import re
import textwrap

import griffe

_ROLE = re.compile(r":(?:py:)?(?:func|class|meth|mod|attr|data|exc):`~?\.?([^`]+)`")
_INLINE = re.compile(r":math:`([^`]+)`")
_BLOCK = re.compile(r"^([ ]*)\.\. math::[ ]*(.*)\n((?:\1[ ]+\S.*\n?|[ ]*\n)*)", re.MULTILINE)


_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
_DESCRIBED = ("Parameters", "Other Parameters", "Attributes", "Raises", "Warns")
_ITEM = re.compile(r"(\*{0,2}[A-Za-z_][\w.*]*(?:, \*{0,2}[A-Za-z_][\w.*]*)*) : (.+)")
#: what a numpydoc type begins with; anything else behind the colon is a description
_TYPE = re.compile(
    r"(str|int|float|bool|callable|mapping|sequence|tuple|list|dict|array|array_like|path|optional"
    r"|Dataset|DataArray|xarray\.\w+|numpy\.\w+|[A-Z]\w+)\b(,| of | or |$|\[)"
)


def examples(text: str) -> str:
    """Lines of examples (``>>>``) as a code block, unless a section for them does that already."""
    out: list[str] = []
    inside = False
    section = ""
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[i + 1].strip()):
            section = line.strip()
        shown = line.lstrip().startswith(">>>") and section != "Examples"
        if shown and not inside:
            out.append(f"{line[: len(line) - len(line.lstrip())]}```python")
            inside = True
        if inside and not line.strip():
            out.append("```")
            inside = False
        out.append(re.sub(r"^(\s*)(>>>|\.\.\.) ?", r"\1", line) if inside else line)
    return "\n".join([*out, "```"] if inside else out)


def described(text: str) -> str:
    """Items `name : description` of a section as `name` with the description below it."""
    parts = _SECTION.split(text)
    out = [parts[0]]
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        rule = "-" * len(title)
        if title in _DESCRIBED:
            body = "\n".join(_item(line, title) for line in body.split("\n"))
        out.append(f"{title}\n{rule}{body}")
    return "".join(out)


def _item(line: str, title: str) -> str:
    found = _ITEM.fullmatch(line)
    if not found or (title not in ("Raises", "Warns") and _TYPE.match(found[2])):
        return line
    return f"{found[1]}\n    {found[2]}"


def to_markdown(text: str) -> str:
    """Sphinx's mathematics and roles as Markdown; double backticks as single ones."""

    def block(found: re.Match) -> str:
        indent, first, rest = found.groups()
        body = "\n".join(
            line
            for line in textwrap.dedent(f"{first}\n{rest}" if not first else rest).splitlines()
            if line.strip()
        )
        body = f"{first}\n{body}".strip()
        return f"\n{indent}$$\n" + textwrap.indent(body, indent) + f"\n{indent}$$\n\n"

    text = described(examples(text))
    text = _BLOCK.sub(block, text if text.endswith("\n") else text + "\n")
    text = _INLINE.sub(r"$\1$", text)
    text = _ROLE.sub(r"`\1`", text)
    return re.sub(r"(?<!`)``(?!`)([^`]+)``(?!`)", r"`\1`", text)


class Markdown(griffe.Extension):
    """Rewrites every docstring as it is collected."""

    def on_object(self, *, obj: griffe.Object, **kwargs) -> None:
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)
