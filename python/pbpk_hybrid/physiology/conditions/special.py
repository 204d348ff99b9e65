"""Special populations in one language: who they are, and what is different in them.

A special population is a group (who is drawn: obese, elderly, infants, ...) with conditions (what
changes in everybody: kidney, liver, pregnancy, phenotypes). The same words hold for every
generator of people, in Python and on the command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from ..._core.arguments import check_choice
from ..._core.errors import InputError, unknown_name
from ..._core.units import quantity
from .disease import (
    CIRRHOSIS,
    RENAL_STAGES,
    with_hepatic_impairment,
    with_pregnancy,
    with_renal_impairment,
)
from .enzymes import PHENOTYPES, with_enzymes
from .transporters import TRANSPORTER_PHENOTYPES, with_transporters

#: group -> filters of ``sample_population``. Ages as in FDA's guidance on pediatric studies
#: (neonates to 1 month, infants to 2 years, children to 12, adolescents to 18) and ICH E7 (the
#: elderly from 65); classes of BMI as of the World Health Organization, up to the largest of the
#: survey
GROUPS: dict[str, dict[str, Any]] = {
    "neonates": {"age": (0.0, 1 / 12)},
    "infants": {"age": (1 / 12, 2.0)},
    "children": {"age": (2.0, 11.99)},
    "adolescents": {"age": (12.0, 17.99)},
    "adults": {"age": (18.0, 64.99)},
    "elderly": {"age": (65.0, 89.99)},
    "underweight": {"bmi": (10.0, 18.49)},
    "overweight": {"bmi": (25.0, 29.99)},
    "obese": {"bmi": (30.0, 86.5)},
    "obese class 1": {"bmi": (30.0, 34.99)},
    "obese class 2": {"bmi": (35.0, 39.99)},
    "obese class 3": {"bmi": (40.0, 86.5)},
}
#: ages [year] of women who are drawn to be pregnant, where nothing else is asked
PREGNANT_AGES = (18.0, 45.0)
_ALIASES = {
    "obesity": "obese",
    "geriatric": "elderly",
    "pediatric": "children",
    "paediatric": "children",
}
_WORD = re.compile(r"(?P<what>[A-Za-z0-9.-]+)\s*[=: ]\s*(?P<which>[a-z]+)")
_PREGNANT = re.compile(r"(?:(?P<a>[0-9.]+) ?w(?:eeks?)? pregnant)|(?:pregnan(?:t|cy) (?P<b>.+))")
_RENAL = re.compile(r"(?P<stage>mild|moderate|severe) renal impairment|(?P<f>kidney failure)")
_HEPATIC = re.compile(r"(?:cirrhosis,? ?)?child-pugh (?P<grade>[abc])", re.IGNORECASE)


@dataclass(frozen=True)
class Special:
    """A checked special population.

    Parameters
    ----------
    group : str or None
        One of :data:`GROUPS`.
    renal : str, float or None
        Stage of impairment, or GFR [mL/min/1.73 m^2].
    hepatic : str or None
        Child-Pugh class.
    pregnant : float or None
        Gestational age [week].
    phenotypes : mapping
        Enzyme or transporter -> phenotype.
    """

    group: str | None = None
    renal: str | float | None = None
    hepatic: str | None = None
    pregnant: float | None = None
    phenotypes: Mapping[str, str] = field(default_factory=dict)

    @property
    def filters(self) -> dict[str, Any]:
        """Filters of ``sample_population`` that the population implies."""
        found = dict(GROUPS[self.group]) if self.group else {}
        if self.pregnant is not None:
            found = {"sex": "female", "age": PREGNANT_AGES, **found}
        return found

    def __str__(self) -> str:
        parts = [self.group] if self.group else []
        if self.pregnant is not None:
            parts.append(f"{self.pregnant:g} weeks pregnant")
        if self.hepatic:
            parts.append(f"Child-Pugh {self.hepatic}")
        if isinstance(self.renal, str):
            stage = self.renal
            parts.append("kidney failure" if stage == "failure" else f"{stage} renal impairment")
        elif self.renal is not None:
            parts.append(f"GFR {self.renal:g} mL/min/1.73 m^2")
        parts += [f"{name} {phenotype}" for name, phenotype in self.phenotypes.items()]
        return ", ".join(parts)

    def __bool__(self) -> bool:
        return bool(str(self))


def read_special(
    special: str | Iterable[str] | Mapping[str, Any] | Special | None = None,
    *,
    group: str | None = None,
    renal: str | float | None = None,
    hepatic: str | None = None,
    pregnant: str | float | None = None,
    phenotypes: Mapping[str, str] | str | Iterable[str] | None = None,
) -> Special:
    """What a description of a special population means.

    Parameters
    ----------
    special
        Text such as "elderly, severe renal impairment, CYP2D6 poor", several texts, or a mapping
        of the other parameters.
    group
        One of :data:`GROUPS`.
    renal
        "mild", "moderate", "severe", "failure", or GFR [mL/min/1.73 m^2].
    hepatic
        "A", "B" or "C".
    pregnant
        Gestational age [week].
    phenotypes
        Enzyme or transporter -> phenotype, or texts such as "CYP2D6=poor".

    Raises
    ------
    InputError, UnknownNameError
        Something that cannot be understood, or is said twice.
    """
    given = {
        "group": group,
        "renal": renal,
        "hepatic": hepatic,
        "pregnant": pregnant,
        "phenotypes": phenotypes,
    }
    found = {name: value for name, value in given.items() if value is not None}
    if isinstance(special, Special):
        special = {name: v for name, v in vars(special).items() if v}
    if isinstance(special, Mapping):
        for name, value in special.items():
            if name not in given:
                raise unknown_name("special", name, tuple(given), what="a kind of condition")
            _put(found, name, value)
    elif special is not None:
        if not isinstance(special, Iterable):
            raise InputError("special", special, _EXPECTED)
        texts = [special] if isinstance(special, str) else list(special)
        for text in texts:
            if not isinstance(text, str) or not text.strip():
                raise InputError("special", text, _EXPECTED)
            # a comma before Child-Pugh belongs to it
            plain = re.sub(r"(?i)cirrhosis, *child", "cirrhosis child", text)
            for part in re.split(r"[,;]|\band\b", plain):
                if part.strip():
                    _read_words(found, part.strip())
    return Special(
        _group(found.get("group")),
        _renal(found.get("renal")),
        _hepatic(found.get("hepatic")),
        _pregnant(found.get("pregnant")),
        _phenotypes(found.get("phenotypes")),
    )


_EXPECTED = (
    "a population such as 'elderly', 'obese class 3', 'severe renal impairment', 'Child-Pugh B', "
    "'30 weeks pregnant' or 'CYP2D6 poor'"
)


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    """
    Raises
    ------
    InputError
        It is there already.
    """
    if value is None:
        return
    if name == "phenotypes" and name in found:
        both = {**_phenotypes(found[name])}
        for enzyme, phenotype in _phenotypes(value).items():
            if enzyme in both:
                raise InputError(f"phenotypes.{enzyme}", phenotype, "one phenotype of an enzyme")
            both[enzyme] = phenotype
        found[name] = both
        return
    if name in found:
        raise InputError(name, value, f"said once; there is {found[name]!r} already")
    found[name] = value


def _read_words(found: dict[str, Any], text: str) -> None:
    """One part of a description in words."""
    lower = " ".join(text.lower().split())
    name = _ALIASES.get(lower, lower)
    if name in GROUPS:
        _put(found, "group", name)
    elif match := _RENAL.fullmatch(lower):
        _put(found, "renal", match["stage"] or "failure")
    elif match := _HEPATIC.fullmatch(lower):
        _put(found, "hepatic", match["grade"].upper())
    elif match := _PREGNANT.fullmatch(lower):
        _put(found, "pregnant", match["a"] or match["b"])
    elif match := _WORD.fullmatch(text):
        _put(found, "phenotypes", {match["what"]: match["which"]})
    else:
        words = (*GROUPS, "severe renal impairment", "Child-Pugh B", "30 weeks pregnant")
        raise unknown_name("special", text, words, what="a special population")


def _group(value: Any) -> str | None:
    if value is None:
        return None
    name = _ALIASES.get(str(value).lower(), str(value).lower())
    if name not in GROUPS:
        raise unknown_name("group", value, GROUPS, what="a group of people")
    return name


def _renal(value: Any) -> str | float | None:
    if value is None or (isinstance(value, str) and value in RENAL_STAGES):
        return value
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z ]+", value):
        raise unknown_name("renal", value, RENAL_STAGES, what="a stage of renal impairment")
    return quantity(_plain_number(value), "mL/min/1.73 m^2", "renal", positive=True)


def _hepatic(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    match = _HEPATIC.fullmatch(text)
    grade = (match["grade"] if match else text).upper()
    check_choice("hepatic", grade, CIRRHOSIS)
    return grade


def _pregnant(value: Any) -> float | None:
    if value is None:
        return None
    weeks = quantity(_plain_number(value), "week", "pregnant")
    if not 0 <= weeks <= 40:
        raise InputError("pregnant", value, "0 to 40 weeks")
    return weeks


def _plain_number(value: Any) -> Any:
    """A number written as text, as the command line hands it on; everything else as it is."""
    plain = isinstance(value, str) and re.fullmatch(r"\s*\d+(\.\d+)?\s*", value)
    return float(value) if plain else value


def _phenotypes(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, str):
        value = [part for part in re.split(r"[,;]", value) if part.strip()]
    if not isinstance(value, Mapping):
        pairs: dict[str, str] = {}
        if not isinstance(value, Iterable):
            raise InputError("phenotypes", value, "an enzyme and phenotype such as CYP2D6=poor")
        for text in value:
            match = _WORD.fullmatch(str(text).strip())
            if match is None:
                raise InputError("phenotypes", text, "an enzyme and phenotype such as CYP2D6=poor")
            if match["what"] in pairs:
                raise InputError("phenotypes", text, f"one phenotype of {match['what']}")
            pairs[match["what"]] = match["which"]
        value = pairs
    known = {**PHENOTYPES, **TRANSPORTER_PHENOTYPES}
    for name, phenotype in value.items():
        if name not in known:
            raise unknown_name(
                "phenotypes", name, known, what="a polymorphic enzyme or transporter"
            )
        if phenotype not in known[name]:
            raise unknown_name(f"phenotypes.{name}", phenotype, known[name], what="a phenotype")
    return dict(value)


def with_conditions(
    people: xr.Dataset,
    special: str | Iterable[str] | Mapping[str, Any] | Special | None = None,
    **conditions: Any,
) -> xr.Dataset:
    """People with the conditions of a special population.

    >>> import pbpk_hybrid as ph
    >>> people = ph.sample_population(5, seed=1)
    >>> sick = ph.with_conditions(people, renal="severe", phenotypes={"CYP2D6": "poor"})
    >>> sick.attrs["special"]
    'severe renal impairment, CYP2D6 poor'

    In this order: pregnancy, cirrhosis, kidney, phenotypes. Each changes what the one before left;
    how two of them act on each other is not known. The group of a special population says whom to
    draw and changes nobody.

    Parameters
    ----------
    people
        Physiology Dataset of humans.
    special, **conditions
        As of :func:`read_special`: ``renal``, ``hepatic``, ``pregnant``, ``phenotypes``.

    Returns
    -------
    Dataset
        A copy; attribute ``special`` says what was changed.

    Raises
    ------
    InputError, UnknownNameError
        A condition that cannot be understood, or that the people cannot have.

    Warns
    -----
    NoEffectWarning
        Some of the people have a lower GFR already.
    """
    asked = special if isinstance(special, Special) else read_special(special, **conditions)
    if isinstance(special, Special) and conditions:
        raise InputError("special", str(special), "nothing beside it")
    out = people
    if asked.pregnant is not None:
        out = with_pregnancy(out, asked.pregnant)
    if asked.hepatic is not None:
        out = with_hepatic_impairment(out, asked.hepatic)
    if isinstance(asked.renal, str):
        out = with_renal_impairment(out, asked.renal)
    elif asked.renal is not None:
        out = with_renal_impairment(out, egfr=asked.renal)
    enzymes = {n: p for n, p in asked.phenotypes.items() if n in PHENOTYPES}
    transporters = {n: p for n, p in asked.phenotypes.items() if n not in PHENOTYPES}
    if enzymes:
        out = with_enzymes(out, by_age=False, phenotypes=enzymes)
    if transporters:
        out = with_transporters(out, phenotypes=transporters)
    out = out.copy() if out is people else out
    out.attrs = {**out.attrs, "special": str(asked) or "no"}
    return out


def filters_with(special: Special, filters: Mapping[str, Any]) -> dict[str, Any]:
    """Filters of ``sample_population`` together with those that a special population implies.

    Of two ranges of one quantity what they have in common.

    Raises
    ------
    InputError
        They have nothing in common.
    """
    out = {name: value for name, value in filters.items() if value is not None}
    for name, implied in special.filters.items():
        if name not in out:
            out[name] = implied
            continue
        asked = out[name]
        if name == "sex":
            if asked not in ("female", 1.0):
                raise InputError("sex", asked, f"women: {special}")
            continue
        both = _common(name, asked, implied)
        if both is None:
            low, high = implied
            raise InputError(name, asked, f"a range that overlaps {low:g} to {high:g}: {special}")
        out[name] = both
    return out


def _common(name: str, asked: Any, implied: tuple[float, float]) -> tuple[float, float] | None:
    """What two ranges have in common; None: nothing."""
    from ..adults.selection import bounds

    pair = asked
    if isinstance(pair, (tuple, list)) and len(pair) == 2:
        # an open end
        pair = tuple(e if v is None else v for v, e in zip(pair, (0.0, np.inf), strict=True))
    low, high = bounds(name, pair)
    if name == "age" and PREGNANT_AGES == implied:
        # asked ages of pregnant women hold as they are asked
        return (low, high)
    low, high = max(low, implied[0]), min(high, implied[1])
    return (low, high) if low <= high else None


__all__ = ["GROUPS", "Special", "filters_with", "read_special", "with_conditions"]
