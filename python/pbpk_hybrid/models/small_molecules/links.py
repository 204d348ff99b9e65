"""What compounds have to do with each other: who acts on whose enzymes, and which names
meet nothing.

A name that is spelt in another way than the victim's (``"CYP3A"`` for ``"CYP3A4"``) acts
on nothing, and the ratio of an interaction is then 1 with nothing wrong in sight. So what
meets nothing is said.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

from ..._core.errors import NoEffectWarning, nearest_names
from ...compounds import Compound
from ...physiology.conditions.enzymes import ONTOGENY, PHENOTYPES, STRAIGHT_ONTOGENY
from ...physiology.conditions.transporters import TRANSPORTER_PHENOTYPES, TRANSPORTERS

#: names of enzymes and transporters that the package has numbers of
KNOWN = frozenset(
    name.split(".")[0]
    for name in (
        *ONTOGENY,
        *STRAIGHT_ONTOGENY,
        *PHENOTYPES,
        *TRANSPORTERS,
        *TRANSPORTER_PHENOTYPES,
    )
)


def enzymes_and_transporters(compound: Compound) -> tuple[str, ...]:
    """What a compound has that others can act on."""
    names = [m.enzyme for m in compound.metabolism] + [t.name for t in compound.transporters]
    return tuple(dict.fromkeys(names))


def acts_on(source: Compound, target: Compound) -> bool:
    """Whether `source` changes an enzyme or transporter of `target`, or turns into it."""
    changed = {e.enzyme for e in source.enzyme_effects}
    formed = {m.metabolite for m in source.metabolism}
    return bool(changed & set(enzymes_and_transporters(target))) or target.name in formed


def reached(source: Compound, compounds: Sequence[Compound]) -> set[str]:
    """Names of the compounds that `source` acts on, itself or through others."""
    found: set[str] = set()
    rest = [source]
    while rest:
        here = rest.pop()
        new = [c for c in compounds if c.name not in found and c is not here and acts_on(here, c)]
        found |= {c.name for c in new}
        rest += new
    return found


def warn_of_strangers(
    compounds: Sequence[Compound], species: str = "human", victim: str | None = None
) -> None:
    """Say which compounds, effects and metabolites of a simulation together meet nothing.

    Parameters
    ----------
    victim : name of the compound whose exposure is asked for; None: any link between two
        compounds counts

    Warns
    -----
    NoEffectWarning : an effect whose enzyme is nobody's, under a name that the package
        does not know or that is spelt like one of theirs; a metabolite spelt like one of
        the compounds; a compound with effects that has nothing to do with the others, or
        that does not reach the victim
    """
    compounds = [c.for_species(species) for c in compounds]
    if len(compounds) < 2:
        return
    _warn_of_names(compounds)
    if victim is not None:
        target = next(c for c in compounds if c.name == victim)
        for c in compounds:
            if c is not target and victim not in reached(c, compounds):
                if acts_on(target, c) and not c.enzyme_effects:
                    continue  # a metabolite of the victim, followed for its own sake
                _warn(_nothing(c, target))
        return
    for c in compounds:
        others = [o for o in compounds if o is not c]
        if c.enzyme_effects and not any(acts_on(c, o) or acts_on(o, c) for o in others):
            _warn(_nothing(c, *others))


def warn_of_idle_half_lives(half_lives: Mapping[str, float], changed: Iterable[str]) -> None:
    """
    Warns
    -----
    NoEffectWarning : a half-life of an enzyme whose amount no compound changes
    """
    changed = sorted(set(changed))
    for key in half_lives:
        if key.split(".")[0] not in changed:
            _warn(
                f"enzyme_half_lives[{key!r}] changes nothing: no compound inactivates or "
                "induces this enzyme "
                f"(changed: {', '.join(changed) or 'none'})"
            )


def _nothing(source: Compound, *targets: Compound) -> str:
    effects = ", ".join(f"{e.kind} of {e.enzyme}" for e in source.enzyme_effects) or "none"
    theirs = "; ".join(
        f"{t.name} has {', '.join(enzymes_and_transporters(t)) or 'no named enzyme or transporter'}"
        for t in targets
    )
    names = ", ".join(t.name for t in targets)
    return (
        f"{source.name} changes nothing of {names}: effects of {source.name}: {effects}; "
        f"{theirs}; name the same enzyme or "
        "transporter in `enzyme_effects` of the one and in `metabolism` or `transporters` of "
        "the other"
    )


def _warn_of_names(compounds: Sequence[Compound]) -> None:
    names = [c.name for c in compounds]
    there = sorted({e for c in compounds for e in enzymes_and_transporters(c)})
    for c in compounds:
        for e in c.enzyme_effects:
            near = nearest_names(e.enzyme, there)
            if e.enzyme not in there and e.enzyme not in KNOWN:
                did = (
                    f"did you mean {' or '.join(map(repr, near))}?"
                    if near
                    else f"they have {', '.join(there) or 'none'}"
                )
                _warn(
                    f"the {e.kind} effect of {c.name} on {e.enzyme!r} changes nothing: no "
                    "compound here names this enzyme or "
                    f"transporter; {did}"
                )
        for m in c.metabolism:
            if (
                m.metabolite
                and m.metabolite not in names
                and (near := nearest_names(m.metabolite, names))
            ):
                if near[0] != c.name:
                    _warn(
                        f"the metabolite {m.metabolite!r} of {c.name} is not followed: no "
                        "compound here has this name; did "
                        f"you mean {near[0]!r}?"
                    )


def _warn(text: str) -> None:
    warnings.warn(text, NoEffectWarning, stacklevel=4)


__all__ = [
    "KNOWN",
    "acts_on",
    "enzymes_and_transporters",
    "reached",
    "warn_of_idle_half_lives",
    "warn_of_strangers",
]
