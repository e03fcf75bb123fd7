"""Energy: the KPIs and series of rollups, as REST and as a municipality's page."""
