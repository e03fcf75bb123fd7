"""The firmware of devices on this computer: the real MicroPython in Node, with fakes in place of the board."""
