"""Children: reference children of any age, random children, what is usual for their age."""
