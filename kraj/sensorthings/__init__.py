"""OGC SensorThings API 1.1 (18-088), sensing, read-only: entities, resource paths, query options, filters; pure."""
