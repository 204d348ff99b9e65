"""What every room may use: errors, units, schemas, files, seeds, provenance. Imports
nothing of the package.
"""
