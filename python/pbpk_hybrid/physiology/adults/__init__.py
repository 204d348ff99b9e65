"""Adults: regressions on age, weight and height, the survey they are drawn from, their
variability.
"""
