"""What a backend integrates: the organ graph, the System, its derivatives by named parameters."""
