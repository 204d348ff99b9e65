"""Published regressions of human body composition, flows and filtration on sex, age,
weight and height.

All functions are vectorised, over numpy arrays and torch tensors alike. ``male`` is a
boolean array, `age` in years, `weight` in kg, `height` in cm, `surface` in m^2; all have
the shape of the result, in general (subject,). Those used as ratios to the reference
person (brain, skin, blood, bone) reproduce ICRP 89 exactly at the reference covariates.
"""

from __future__ import annotations

from ..arrays import Array, exp, log10, maximum, minimum, where


def brain_mass(male: Array, age: Array) -> Array:
    """Brain [kg], httk after Bosgra et al. 2012.

    .. math:: B\\,(3.68 - 2.68\\,e^{-age/0.89})\\,e^{-age/629}, \\quad B = 0.405\\ (M), 0.373\\ (F)
    """
    at_birth = where(male, 0.405, 0.373)
    return at_birth * (3.68 - 2.68 * exp(-age / 0.89)) * exp(-age / 629)


_SKIN_LIMIT = 2.2  # m^2


def skin_mass(surface: Array) -> Array:
    """Skin [kg]: exp(1.64 BSA - 1.93), Bosgra et al., Crit Rev Toxicol 42:751 (2012).

    Above 2.2 m^2 the exponential, fitted on normal people, would give 24 kg of skin to
    the heaviest; there skin grows in proportion to the surface, that is with constant
    thickness.
    """
    return exp(1.64 * minimum(surface, _SKIN_LIMIT) - 1.93) * maximum(surface / _SKIN_LIMIT, 1.0)


def blood_mass(male: Array, surface: Array) -> Array:
    """Blood [kg]: 3.33 BSA - 0.81 (M), 2.66 BSA - 0.46 (F), Bosgra et al. 2012, eq. 10 and 11."""
    return where(male, 3.33 * surface - 0.81, 2.66 * surface - 0.46)


def bone_mineral(male: Array, age: Array) -> Array:
    """Bone mineral content [kg]: logistic growth (Baxter-Jones et al. 2011) and loss
    after 50 (Looker et al. 2009).

    httk subtracts slope x age after 50; the slope counts from 50 here (see corrections:
    bone_loss_step).
    """
    grown = where(
        male,
        0.89983 + (2.99019 - 0.89983) / (1 + exp((14.17081 - age) / 1.58179)),
        0.74042 + (2.14976 - 0.74042) / (1 + exp((12.35466 - age) / 1.35750)),
    )
    return grown - where(male, 0.0019, 0.0056) * maximum(age - 50, 0)


_ESSENTIAL_FAT = (0.03, 0.10)  # of body weight, men and women


def fat_fraction(male: Array, age: Array, body_mass_index: Array) -> Array:
    """Expected body fat as a fraction of body weight, Gallagher et al., Am J Clin Nutr
    72:694 (2000).

    .. math::

        \\%fat = 64.5 - 848/BMI + 0.079\\,age - 16.4\\,m + 0.05\\,m\\,age + 39.0\\,m/BMI,
        \\quad m = 1\\ (M), 0\\ (F)

    Never below essential fat (3 % men, 10 % women), which the line crosses at a BMI
    near 16.
    """
    m = where(male, 1.0, 0.0)
    percent = (
        64.5
        - 848 / body_mass_index
        + 0.079 * age
        - 16.4 * m
        + 0.05 * m * age
        + 39.0 * m / body_mass_index
    )
    return maximum(percent / 100, where(male, *_ESSENTIAL_FAT))


def fat_free_mass(male: Array, weight: Array, body_mass_index: Array) -> Array:
    """Fat-free mass [kg], Janmahasatian et al., Clin Pharmacokinet 44:1051 (2005)."""
    return where(
        male,
        9270 * weight / (6680 + 216 * body_mass_index),
        9270 * weight / (8780 + 244 * body_mass_index),
    )


def height_scale(height: Array, reference_height: Array) -> Array:
    """Organ mass and cardiac output relative to the reference person: (H/H_ref)^(3/4),
    httk-pop (Ring et al. 2017).
    """
    return (height / reference_height) ** 0.75


def cardiac_output_age(age: Array) -> Array:
    """Cardiac output relative to that at 25 years: 1 - 0.005 (age - 25) from 25 on,
    httk-pop (Ring et al. 2017).
    """
    return 1 - maximum(0, 0.005 * (age - 25))


def ckd_epi_2021(male: Array, age: Array, creatinine: Array) -> Array:
    """Glomerular filtration [mL/min/1.73 m^2] from serum creatinine [mg/dL], adults.

    .. math:: 142 \\min(S/k, 1)^a \\max(S/k, 1)^{-1.200}\\, 0.9938^{age} \\times 1.012\\ [F]

    k 0.9 (M), 0.7 (F); a -0.302 (M), -0.241 (F). Inker et al., N Engl J Med 385:1737
    (2021); no race term.
    """
    ratio = creatinine / where(male, 0.9, 0.7)
    low = minimum(ratio, 1) ** where(male, -0.302, -0.241)
    return 142 * low * maximum(ratio, 1) ** -1.200 * 0.9938**age * where(male, 1.0, 1.012)


def hepatocellularity(age: Array) -> Array:
    """Expected hepatocytes [1e6 cell/g liver]: 10^(-0.66 log10(age) + 3.10) from 20
    years, Barter et al. 2007.
    """
    return 10 ** (-0.66 * log10(maximum(age, 20.0)) + 3.10)


def microsomal_protein(age: Array) -> Array:
    """Expected microsomal protein [mg/g liver], Barter et al., Drug Metab Dispos 36:2405 (2008).

    .. math:: \\log_{10} = 1.407 + 0.0158\\,age - 3.8\\cdot10^{-4} age^2 + 2.4\\cdot10^{-6} age^3
    """
    return 10 ** (1.407 + 0.0158 * age - 0.00038 * age**2 + 0.0000024 * age**3)


def haycock_surface(weight: Array, height: Array) -> Array:
    """Body surface [m^2] of children: 0.024265 W^0.5378 H^0.3964, Haycock et al., J
    Pediatr 93:62 (1978).
    """
    return 0.024265 * weight**0.5378 * height**0.3964
