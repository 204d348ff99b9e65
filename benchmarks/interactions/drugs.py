"""The drugs of the interaction benchmark, each value with its source. Nothing was fitted to an interaction by this project;
where the source itself fitted a constant to interactions it says so. Values of handbooks and papers that are in no table of
benchmarks/data and were not read count as assumed (docs/assumptions.md); rifampicin's were read in its US label.

"OSP" is osp_compound_parameters.csv in benchmarks/data/osp (Open Systems Pharmacology, GPL-2); "httk" is httk 2.7.4.
"""

from __future__ import annotations

import pbpk_hybrid as ph

_FM = "Brown et al. (2005) Br J Clin Pharmacol 60:508 (fraction of clearance by CYP3A4)"
_WALL = "all metabolism of the gut wall taken as CYP3A4's"
_EMPTYING = "assumed: gastric emptying of liquids, ln 2/0.25 h (Yu & Amidon 1999)"


def cyp3a4(fraction: float, gut: bool = True) -> list[dict]:
    return [{"enzyme": "CYP3A4", "fraction": fraction}] + (
        [{"enzyme": "CYP3A4", "fraction": 1.0, "organ": "gut"}] if gut else []
    )


def effect(kind: str, **values) -> dict:
    return {"enzyme": "CYP3A4", "kind": kind, **values}


def drugs() -> dict[str, ph.Compound]:
    """Name -> compound. Victims: midazolam, alprazolam and alfentanil of the package; triazolam."""
    out = {name: ph.get_compound(name) for name in ("midazolam", "alprazolam", "alfentanil")}
    make = ph.Compound.create
    out["triazolam"] = make(
        name="triazolam",
        molar_mass=343.21,
        log_p=2.42,
        pka_base=[1.52],
        fraction_unbound_plasma=0.10,
        blood_to_plasma_ratio=0.62,
        clearance_plasma=5.6,
        fraction_excreted_renal=0.02,
        volume_steady_state=1.1,
        distribution_basis="in_vivo",
        absorption_rate=2.8,
        fraction_absorbed=0.85,
        fraction_gut=0.74,
        metabolism=cyp3a4(0.92),
        sources={
            "clearance_plasma": "Goodman & Gilman 12th ed., appendix II",
            "volume_steady_state": "as clearance_plasma",
            "fraction_excreted_renal": "as clearance_plasma",
            "fraction_unbound_plasma": "httk",
            "log_p": "httk",
            "blood_to_plasma_ratio": "httk",
            "fraction_absorbed": "Varma 2010, in httk",
            "fraction_gut": "Varma 2010, in httk",
            "pka_base": "OSP",
            "molar_mass": "OSP",
            "absorption_rate": _EMPTYING,
            "metabolism": f"{_FM}; {_WALL}",
        },
    )
    out["ketoconazole"] = make(
        name="ketoconazole",
        molar_mass=531.43,
        log_p=4.35,
        pka_base=[2.94, 6.51],
        fraction_unbound_plasma=0.029,
        blood_to_plasma_ratio=0.62,
        clearance_plasma=2.98,
        fraction_excreted_renal=0.02,
        volume_steady_state=1.2,
        distribution_basis="in_vivo",
        absorption_rate=0.8,
        fraction_absorbed=1.0,
        fraction_gut=1.0,
        saturable=[{"name": "liver", "organ": "liver", "vmax": 0.309, "km": 0.0175}],
        enzyme_effects=[effect("competitive", ki="0.015 uM")],
        sources={
            "saturable": "Vmax [mg/h/kg] and unbound Km [mg/L] with which the reference person has the AUCs published for "
            "200 mg, 16.0 mg h/L (oral clearance 209 mL/min, Huang et al. (1986) Antimicrob Agents Chemother 30:206), and "
            "for 400 mg as tablets, 50.0 mg h/L (Baxter et al. (1986) J Pharm Sci 75:443)",
            "clearance_plasma": "Huang et al. (1986), as above; with the saturable pathway only its renal share is used",
            "fraction_unbound_plasma": "value of the Simcyp "
            "compound file as quoted in published applications, not checked against the file",
            "blood_to_plasma_ratio": "as fraction_unbound_plasma",
            "absorption_rate": "as fraction_unbound_plasma",
            "volume_steady_state": "88 L, Huang et al. (1986)",
            "enzyme_effects": "unbound Ki, default of Simcyp and GastroPlus, 0.015 uM",
            "log_p": "httk",
        },
    )
    out["itraconazole"] = make(
        name="itraconazole",
        molar_mass=705.63,
        log_p=4.62,
        pka_base=[3.7],
        fraction_unbound_plasma=0.006,
        blood_to_plasma_ratio=0.58,
        clearance_plasma=5.1,
        fraction_excreted_renal=0.0,
        volume_steady_state=7.4,
        distribution_basis="in_vivo",
        absorption_rate=0.5,
        fraction_absorbed=0.85,
        fraction_gut=0.83,
        metabolism=[
            {
                "enzyme": "CYP3A4",
                "fraction": 1.0,
                "metabolite": "hydroxyitraconazole",
                "km": "2.07 nM",
            }
        ],
        enzyme_effects=[effect("competitive", ki="1.3 nM")],
        sources={
            "clearance_plasma": "Lombardo et al. (2018), in PKSmart",
            "volume_steady_state": "Lombardo et al. (2018), in PKSmart",
            "fraction_unbound_plasma": "Templeton et al. (2008), in OSP",
            "log_p": "OSP",
            "pka_base": "OSP",
            "blood_to_plasma_ratio": "Heykants et al. (1989) Mycoses 32 Suppl 1:67",
            "absorption_rate": "assumed: peak at 4 h",
            "fraction_absorbed": "Varma 2010, in httk",
            "fraction_gut": "Varma 2010, in httk",
            "metabolism": "Km, unbound, OSP (from Isoherranen et al. 2004); all of it taken to hydroxyitraconazole in the liver",
            "enzyme_effects": "Isoherranen et al. (2004) Drug Metab Dispos 32:1121, in OSP",
        },
    )
    out["hydroxyitraconazole"] = make(
        name="hydroxyitraconazole",
        molar_mass=721.63,
        log_p=3.72,
        pka_base=[3.7],
        fraction_unbound_plasma=0.017,
        blood_to_plasma_ratio=0.58,
        clearance_plasma=3.0,
        fraction_excreted_renal=0.0,
        enzyme_effects=[effect("competitive", ki="14.4 nM")],
        sources={
            "clearance_plasma": "from that of itraconazole and a ratio of AUCs, metabolite to parent, of 1.7: Hardin et al. "
            "(1988) Antimicrob Agents Chemother 32:1310",
            "fraction_unbound_plasma": "Templeton et al. (2008), in OSP",
            "blood_to_plasma_ratio": "taken as the parent's",
            "log_p": "OSP",
            "pka_base": "OSP",
            "enzyme_effects": "Isoherranen et al. (2004) Drug Metab Dispos 32:1121, in OSP",
        },
    )
    out["fluconazole"] = make(
        name="fluconazole",
        molar_mass=306.27,
        log_p=0.50,
        pka_base=[2.03],
        fraction_unbound_plasma=0.89,
        blood_to_plasma_ratio=1.0,
        clearance_plasma=0.31,
        fraction_excreted_renal=0.75,
        volume_steady_state=0.75,
        distribution_basis="in_vivo",
        absorption_rate=1.5,
        fraction_absorbed=0.95,
        fraction_gut=1.0,
        enzyme_effects=[effect("noncompetitive", ki="13.1 uM")],
        sources={
            "clearance_plasma": "Lombardo et al. (2018), in PKSmart",
            "volume_steady_state": "Lombardo et al. (2018), in PKSmart",
            "fraction_unbound_plasma": "Lombardo et al. (2018), in PKSmart",
            "fraction_excreted_renal": "Goodman & Gilman 12th ed., appendix II",
            "fraction_absorbed": "Varma 2010, in httk",
            "log_p": "httk",
            "absorption_rate": "assumed: peak at 2 h",
            "pka_base": "OSP",
            "blood_to_plasma_ratio": "assumed, near httk's 1.06",
            "enzyme_effects": "Sakaeda et al. (2005), in OSP",
        },
    )
    out["rifampicin"] = make(
        name="rifampicin",
        molar_mass=822.94,
        log_p=2.5,
        pka_acid=[1.7],
        pka_base=[7.9],
        fraction_unbound_plasma=0.17,
        blood_to_plasma_ratio=0.89,
        clearance_plasma=2.33,
        fraction_excreted_renal=0.07,
        volume_steady_state=0.64,
        distribution_basis="in_vivo",
        absorption_rate=1.1,
        fraction_absorbed=1.0,
        fraction_gut=1.0,
        saturable=[{"name": "liver", "organ": "liver", "vmax": 1.364, "km": 0.639}],
        enzyme_effects=[
            effect("induction", ec50="0.34 uM", emax=9.0),
            effect("competitive", ki="18.5 uM"),
        ],
        sources={
            "saturable": "Vmax [mg/h/kg] and unbound Km [mg/L] with which the reference person has the clearances of 0.19 and "
            ".14 L/h/kg published for 300 and 600 mg over half an hour: rifampin for injection, US prescribing information; "
            "its own induction is left out",
            "clearance_plasma": "the same, 600 mg; with the saturable pathway only its renal "
            "share is used",
            "volume_steady_state": "the same, 600 mg",
            "fraction_excreted_renal": "Goodman & Gilman 12th ed., appendix II",
            "fraction_unbound_plasma": "Templeton et al. (2011), in OSP",
            "blood_to_plasma_ratio": "Loos et al. (1985), as used by Hanke et al. (2018)",
            "absorption_rate": "assumed: peak at 2 h",
            "enzyme_effects": "Templeton et al. (2011) and Kajosaari et al. (2005), in OSP",
            "log_p": "OSP",
        },
    )
    out["clarithromycin"] = make(
        name="clarithromycin",
        molar_mass=747.95,
        log_p=2.3,
        pka_base=[8.99],
        fraction_unbound_plasma=0.30,
        blood_to_plasma_ratio=0.64,
        clearance_plasma=6.6,
        fraction_excreted_renal=0.36,
        volume_steady_state=2.6,
        distribution_basis="in_vivo",
        absorption_rate=0.9,
        fraction_absorbed=0.8,
        fraction_gut=0.9,
        metabolism=[{"enzyme": "CYP3A4", "fraction": 1.0, "km": "48.7 uM"}],
        enzyme_effects=[effect("inactivation", ki="6.04 uM", kinact="0.04 1/min")],
        sources={
            "clearance_plasma": "Chu et al. (1992) Antimicrob Agents Chemother 36:1147 and Goodman & Gilman 12th ed., the lower "
            "end, as its own inactivation acts on it from the second dose",
            "fraction_excreted_renal": "Goodman & Gilman 12th ed., appendix II",
            "volume_steady_state": "Goodman & Gilman 12th ed., appendix II",
            "fraction_unbound_plasma": "Chu et al. (1993), in OSP",
            "blood_to_plasma_ratio": "httk",
            "log_p": "OSP",
            "absorption_rate": "assumed: peak at 2 h",
            "fraction_absorbed": "assumed",
            "fraction_gut": "assumed; with the liver "
            "an oral bioavailability of 0.55 (Chu et al. 1992)",
            "metabolism": "Km Rodrigues et al. (1997), in OSP; all of the "
            "metabolism taken as CYP3A4's",
            "enzyme_effects": "OSP, there fitted",
        },
    )
    out["erythromycin"] = make(
        name="erythromycin",
        molar_mass=733.93,
        log_p=2.82,
        pka_base=[8.88],
        fraction_unbound_plasma=0.305,
        blood_to_plasma_ratio=0.85,
        clearance_plasma=5.6,
        fraction_excreted_renal=0.12,
        volume_steady_state=0.95,
        distribution_basis="in_vivo",
        absorption_rate=0.6,
        fraction_absorbed=0.5,
        fraction_gut=0.91,
        metabolism=[{"enzyme": "CYP3A4", "fraction": 0.5, "km": "70 uM"}],
        enzyme_effects=[effect("inactivation", ki="7.6 uM", kinact="0.0296 1/min")],
        sources={
            "clearance_plasma": "Lombardo et al. (2018), in PKSmart",
            "volume_steady_state": "Lombardo et al. (2018), in PKSmart",
            "fraction_excreted_renal": "Goodman & Gilman 12th ed., appendix II",
            "fraction_unbound_plasma": "Barre et al. (1987), in OSP",
            "blood_to_plasma_ratio": "assumed",
            "log_p": "OSP",
            "absorption_rate": "assumed: peak at 2 to 3 h",
            "fraction_absorbed": "Varma 2010, in httk",
            "fraction_gut": "Varma 2010, in httk",
            "metabolism": "Km in OSP; half of the metabolism assumed CYP3A4's, the rest "
            "goes to bile",
            "enzyme_effects": "OSP, there fitted",
        },
    )
    return out
