"""Bulk import by API and page: read with a bound, shown before anything is written, applied and undone as a whole."""
