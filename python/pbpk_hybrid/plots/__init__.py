"""Figures. matplotlib is imported when the first one is drawn; its settings and backend
are never touched.
"""

from __future__ import annotations

from .figures import profile_figure, save_figure
from .forest import forest_plot
from .goodness_of_fit import goodness_of_fit
from .individual_profiles import individual_profiles
from .organ_graph import organ_graph
from .organ_panels import organ_panels
from .time_profile import time_profile
from .tornado import tornado_plot
from .vpc import prediction_corrected_check, visual_predictive_check

__all__ = [
    "forest_plot",
    "goodness_of_fit",
    "individual_profiles",
    "organ_graph",
    "organ_panels",
    "prediction_corrected_check",
    "profile_figure",
    "save_figure",
    "time_profile",
    "tornado_plot",
    "visual_predictive_check",
]
