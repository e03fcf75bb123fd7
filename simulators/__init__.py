"""A region that is not there: the physics of every kind, labelled faults, and a fleet that lives it over real MQTT."""
