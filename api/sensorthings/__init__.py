"""OGC SensorThings API 1.1 for anybody: quarter-hours of public metrics of published towns, read-only."""
