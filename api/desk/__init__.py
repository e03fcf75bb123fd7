"""The desk of a town hall: what waits for a person, everything that they can do, and small pages that no room has."""
