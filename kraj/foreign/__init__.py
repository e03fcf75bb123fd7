"""Devices that people own already: what they say becomes readings, what we want becomes their commands; pure."""
