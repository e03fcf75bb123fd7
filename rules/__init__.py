"""The rules engine: faults found in columns of readings, causes found in faults. Pure: no clock, no I/O."""
