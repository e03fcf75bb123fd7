"""A region that is not there: signals of every kind, and a fleet of devices that sends them over real MQTT."""
