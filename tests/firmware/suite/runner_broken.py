"""A file that cannot be imported, on purpose: the runner must tell of it."""

raise ImportError("on purpose")
