"""Measurements of this machine by ``kraj bench``: commands that print figures, never timed tests."""
