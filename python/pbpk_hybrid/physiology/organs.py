"""Species and organs: the names every room uses, in the order every table uses."""

from __future__ import annotations

SPECIES = ("mouse", "rat", "rabbit", "minipig", "dog", "monkey", "human")

ORGANS = (
    "arterial_blood",
    "venous_blood",
    "lung",
    "heart",
    "brain",
    "muscle",
    "adipose",
    "skin",
    "bone",
    "kidney",
    "gut",
    "spleen",
    "pancreas",
    "stomach",
    "liver",
    "rest",
)

BLOOD_POOLS = ("arterial_blood", "venous_blood")
PORTAL_ORGANS = ("gut", "spleen", "pancreas", "stomach")
"""Organs whose venous blood drains into the liver through the portal vein."""

FULL_FLOW_ORGANS = ("arterial_blood", "venous_blood", "lung")
"""Organs that the whole cardiac output passes through; they are not part of the sum of
systemic flows.
"""

TISSUES = tuple(organ for organ in ORGANS if organ not in BLOOD_POOLS)
SYSTEMIC_ORGANS = tuple(organ for organ in ORGANS if organ not in FULL_FLOW_ORGANS)
SEXES = ("male", "female")
