"""The deterministic simulation: real code of devices, ingest and rules over a modelled clock, network and database."""
