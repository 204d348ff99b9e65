"""Bodies and enzymes other than usual: disease, pregnancy, age, genotype."""
