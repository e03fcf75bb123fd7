"""Grafana: dashboards generated from the kinds and committed as JSON, and how they get to a server."""
