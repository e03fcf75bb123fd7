"""Firmware on its way to devices: keys, signed releases, and the cable of a new device."""
