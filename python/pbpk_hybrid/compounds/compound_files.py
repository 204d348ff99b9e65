"""Files of one compound, TOML or YAML: from text to a mapping, field -> value."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .._core.arguments import check_path
from .._core.errors import FileFormatError, InputError
from .._core.limits import border, check_nesting, read_text


def read_compound_values(path: str | os.PathLike) -> dict[str, Any]:
    """The fields of the compound in a TOML or YAML file, as they are written.

    Parameters
    ----------
    path : str or path
        A key ``compound`` in the file may hold all fields.

    Raises
    ------
    FileFormatError
        The file does not exist, cannot be read as TOML or YAML, or holds no mapping.
    InputError
        A name with another ending.
    """
    check_path("path", path, "the name of a TOML or YAML file")
    path = Path(path).expanduser()
    values = _parse(path)
    if isinstance(values, Mapping) and set(values) == {"compound"}:
        values = values["compound"]
        if isinstance(values, list) and len(values) == 1:
            values = values[0]
    if not isinstance(values, Mapping):
        raise FileFormatError(
            "path", str(path), "one compound: a table of fields such as name and molar_mass"
        )
    not_text = [key for key in values if not isinstance(key, str)]
    if not_text:
        raise FileFormatError(
            "path",
            str(path),
            "names of fields as keys",
            hint=f"the key {not_text[0]!r} is not text",
        )
    return dict(values)


def _parse(path: Path) -> Any:
    text = read_text(path, "settings_bytes", expected="a readable TOML or YAML file")
    suffix = path.suffix.lower()
    if suffix not in (".toml", ".yaml", ".yml", ".json"):
        raise InputError("path", str(path), "a file that ends in .toml, .yaml, .yml or .json")
    check_nesting(text, str(path))
    if suffix == ".toml":
        import tomllib

        with border("path", str(path), "a TOML file"):
            return tomllib.loads(text)
    return _yaml(text, path)


def _yaml(text: str, path: Path) -> Any:
    import yaml

    with border("path", str(path), "a YAML file"):
        # nine lines of aliases to aliases can stand for a thousand million values
        if any(
            isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader)
        ):
            raise FileFormatError("path", str(path), "a YAML file without aliases (*name)")
        return yaml.load(text, Loader=_yaml_loader())


@cache
def _yaml_loader() -> type:
    """A safe loader in which plain words mean what the core schema of YAML 1.2.2
    (section 10.3.2) says.

    PyYAML follows YAML 1.1, where 1e3 is text, 010 is eight, 1:30 is ninety, 1_000 is a
    thousand, and yes, no and on are true and false. A key that comes twice is refused;
    PyYAML takes the last.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict = {}  # noqa: RUF012

        def construct_mapping(self, node, deep=False):
            seen = set()
            for key, _value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} comes twice", key.start_mark
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    for tag, pattern, first in (
        ("null", r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
        ("bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
        ("int", r"[-+]?[0-9]+", list("-+0123456789")),
        (
            "float",
            r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
            list("-+0123456789."),
        ),
    ):
        Loader.add_implicit_resolver(
            f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$", re.ASCII), first
        )
    Loader.add_constructor("tag:yaml.org,2002:int", _yaml_int)
    Loader.add_constructor("tag:yaml.org,2002:float", _yaml_float)
    return Loader


def _yaml_int(loader: Any, node: Any) -> int:
    return int(loader.construct_scalar(node))  # ten digits: no octal, no sixties


def _yaml_float(loader: Any, node: Any) -> float:
    text = loader.construct_scalar(node)
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
