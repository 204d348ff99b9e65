"""What a simulation file of PK-Sim or MoBi holds, whichever of its two forms it has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..models.expressions.ode_model import OdeModel

#: between the parts of a path, and the symbol of time [min]
DELIMITER, TIME = "|", "time"

MOLECULE, PARAMETER, OBSERVER = "molecule", "parameter", "observer"

#: names that formulas may use without an alias, as the solver kernel's parser knows them
CONSTANTS = {
    **{"PI": math.pi, "pi": math.pi, "Pi": math.pi, "E": math.e},
    **dict.fromkeys(("Inf", "inf", "INF", "Infinity", "infinity"), math.inf),
    **dict.fromkeys(("NaN", "nan", "NAN"), math.nan),
}


@dataclass(frozen=True)
class Quantity:
    """One quantity of a simulation.

    Parameters
    ----------
    path : without the name of the simulation
    kind : "molecule" (an amount), "parameter" or "observer"
    unit : its base unit, as the file or PK-Sim's dimensions say; "" for none
    dimension : its name, where the file says it
    selected : the file asks for it as an output
    """

    path: str
    kind: str
    unit: str = ""
    dimension: str = ""
    selected: bool = False


@dataclass(frozen=True, eq=False)
class SimulationFile:
    """A simulation as equations.

    Parameters
    ----------
    name : of the simulation
    form : which file it was, with its version: "pkml 18", "SimModel XML 4"
    model : the equations in minutes; names are paths
    quantities : path -> Quantity
    output_times : [min] that the file asks for
    solver : options of PK-Sim's solver that the file holds (not used here, kept as facts)
    path_of : number of a quantity -> its path, in files that number them
    per_hour : units of the model's time in an hour
    """

    name: str
    form: str
    model: OdeModel
    quantities: Mapping[str, Quantity]
    output_times: np.ndarray
    solver: Mapping[str, float] = field(default_factory=dict)
    path_of: Mapping[int, str] = field(default_factory=dict)
    per_hour: float = 60.0


def merged_times(times: Sequence[float]) -> np.ndarray:
    """Ascending times without those that differ from the one before by rounding alone."""
    ordered = np.unique(np.asarray(times, dtype=float))
    if len(ordered) < 2:
        return ordered
    apart = np.diff(ordered) > 1e-12 * np.maximum(np.abs(ordered[1:]), np.abs(ordered[-1]) * 1e-3)
    return ordered[np.r_[True, apart]]


#: Base unit of each dimension (Open Systems Pharmacology, OSPSuite.Dimensions.xml,
#: version of 2024); values in pkml files are in these. Those that a file names and this
#: table does not are shown without a unit.
BASE_UNITS = {
    "Abundance per mass protein": "µmol/kg mic. protein",
    "Abundance per tissue": "µmol/kg tissue",
    "Age in years": "year(s)",
    "Age in weeks": "week(s)",
    "Amount": "µmol",
    "Amount per area": "µmol/dm²",
    "Amount per area per time": "µmol/dm²/min",
    "Amount per time": "µmol/min",
    "Area": "dm²",
    "AUC (mass)": "kg*min/l",
    "AUC (molar)": "µmol*min/l",
    "BMI": "kg/dm²",
    "CL per mass protein": "l/min/kg mic. protein",
    "CL per recombinant enzyme": "l/min/µmol rec. enzyme",
    "Compliance": "l/(kg/(dm*min²))",
    "Concentration (mass)": "kg/l",
    "Concentration (molar)": "µmol/l",
    "Concentration (molar) per time": "µmol/l/min",
    "Count": "x10^6",
    "Count per mass": "x10^6/kg",
    "Count per volume": "x10^6/l",
    "Density": "kg/dm³",
    "Diffusion coefficient": "dm²/min",
    "Dimensionless": "",
    "Dose per body surface area": "kg/dm²",
    "Dose per body weight": "kg/kg",
    "Energy": "kg*dm²/min²",
    "Flow": "l/min",
    "Flow per body surface area": "l/min/dm²",
    "Flow per weight": "l/min/kg",
    "Flow per weight organ": "l/min/kg organ",
    "Flow²": "(l/min)²",
    "Fraction": "",
    "Hydraulic conductivity": "l/min/(kg*dm/min²)",
    "Inversed area": "1/dm²",
    "Inversed concentration (molar)": "l/µmol",
    "Inversed length": "1/dm",
    "Inversed mol": "1/µmol",
    "Inversed time": "1/min",
    "Inversed volume": "1/l",
    "Length": "dm",
    "Log Units": "Log Units",
    "Mass": "kg",
    "Mass per area": "kg/dm²",
    "Mass per area per time": "kg/dm²/min",
    "Mass per time": "kg/min",
    "Mass per tissue": "kg/kg",
    "Molecular weight": "kg/µmol",
    "Pressure": "kg/(dm*min²)",
    "RT": "(kg*dm/min²)*dm/µmol",
    "Second order rate constant": "l/µmol/min",
    "Temperature": "K",
    "Time": "min",
    "Time²": "min²",
    "Velocity": "dm/min",
    "Viscosity": "min/l",
    "Vmax per mass protein": "µmol/min/kg mic. protein",
    "Vmax per recombinant enzyme": "µmol/min/µmol rec. enzyme",
    "Vmax per transporter": "µmol/min/µmol transporter",
    "Vmax per weight organ tissue": "µmol/min/kg tissue",
    "Volume": "l",
    "Volume per body weight": "l/kg",
}
