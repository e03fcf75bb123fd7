"""Physics of every kind, with faults: the same models for a live fleet and for months of history in arrays."""
