"""Docstrings are written for the terminal, with Sphinx's roles; the site reads Markdown. This turns one into the other."""

from __future__ import annotations

import re
import textwrap

import griffe

_ROLE = re.compile(r":(?:py:)?(?:func|class|meth|mod|attr|data|exc):`~?\.?([^`]+)`")
_INLINE = re.compile(r":math:`([^`]+)`")
_BLOCK = re.compile(r"^([ ]*)\.\. math::[ ]*(.*)\n((?:\1[ ]+\S.*\n?|[ ]*\n)*)", re.MULTILINE)


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

    text = _BLOCK.sub(block, text if text.endswith("\n") else text + "\n")
    text = _INLINE.sub(r"$\1$", text)
    text = _ROLE.sub(r"`\1`", text)
    return re.sub(r"``([^`]+)``", r"`\1`", text)


class Markdown(griffe.Extension):
    """Rewrites every docstring as it is collected."""

    def on_object(self, *, obj: griffe.Object, **kwargs) -> None:
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)
