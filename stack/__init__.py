"""One machine: embedded database, broker, supervisor and the ``kraj`` command."""
