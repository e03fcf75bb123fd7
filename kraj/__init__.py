"""The region's language: kinds, metrics, topics, wire format, readings, settings; spoken by every other room."""
