"""What the names of columns in data sets mean, in capitals: the first of each row is
the usual one.
"""

from __future__ import annotations

#: item -> names under which it is known
ALIASES: dict[str, tuple[str, ...]] = {
    "ID": (
        "ID",
        "SUBJECT",
        "SUBJECT_ID",
        "SUBJECTID",
        "SUBJID",
        "USUBJID",
        "SUBJ",
        "PATIENT",
        "PATIENT_ID",
    ),
    "TIME": ("TIME",),
    "DV": ("DV", "CONC", "CONCENTRATION", "Y"),
    "AMT": ("AMT", "AMOUNT"),
    "RATE": ("RATE",),
    "DUR": ("DUR", "TINF"),
    "ADDL": ("ADDL",),
    "II": ("II",),
    "SS": ("SS",),
    "CMT": ("CMT",),
    "EVID": ("EVID",),
    "MDV": ("MDV",),
    "ALAG": ("ALAG",),
    "BIOAV": ("BIOAV",),
    "CENS": ("CENS",),
    "LIMIT": ("LIMIT",),
    "BLQ": ("BLQ", "BQL", "BLOQ", "BLQFL", "BLQFLAG"),
    "LLOQ": ("LLOQ", "LOQ"),
    "DVID": ("DVID", "YTYPE", "OBSID"),
    "ANALYTE": ("ANALYTE", "PARAMCD", "PCTESTCD", "PCTEST", "PARAM"),
    "MATRIX": ("MATRIX", "SPECIMEN", "PCSPEC"),
    "ROUTE": ("ROUTE",),
    "ADM": ("ADM", "ADMID"),
    "EXCL": ("EXCL", "EXCLUDE", "EXCLUDED", "IGNORE"),
    "C": ("C",),
    "OCC": ("OCC", "PERIOD", "OCCASION"),
    "CONT": ("CONT",),
    "UNIT": ("UNIT", "UNITS", "DVU", "DVUNIT"),
}

#: columns of people: name -> names under which it is known, and its unit
PEOPLE: dict[str, tuple[tuple[str, ...], str]] = {
    "body_weight": (("WT", "WGT", "WEIGHT", "BW", "BODYWEIGHT", "BODY_WEIGHT", "WTKG"), "kg"),
    "age": (("AGE",), "year"),
    "height": (("HT", "HGT", "HEIGHT"), "cm"),
    "sex": (("SEX", "GENDER"), ""),
}
#: how the sexes are written; numbers have no common meaning
SEXES = {"male": "male", "m": "male", "female": "female", "f": "female"}
#: columns that say whose or which profile a row belongs to, in tables for noncompartmental analysis
PROFILES: dict[str, tuple[str, ...]] = {
    "study": ("STUDY", "STUDYID", "STUDY_ID"),
    "analyte": (*ALIASES["ANALYTE"], "COMPOUND", "DRUG", *ALIASES["DVID"]),
    "period": ("PERIOD", "OCC", "OCCASION", "VISIT"),
    "treatment": ("TREATMENT", "TRT", "TREAT", "FORMULATION", "ARM"),
}
#: words of a column of routes
ROUTES = {
    "iv": "iv",
    "intravenous": "iv",
    "iv_bolus": "iv",
    "iv_infusion": "iv",
    "bolus": "iv",
    "infusion": "iv",
    "oral": "oral",
    "po": "oral",
    "p.o.": "oral",
    "per os": "oral",
}
#: words of columns that leave records out
EXCLUDED_WORDS = ("c", "y", "yes", "true", "x", "#", "@", "i", "excl", "exclude", "excluded")
KEPT_WORDS = ("n", "no", "false", "incl", "include", "included")
