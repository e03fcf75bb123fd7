"""The dashboards, one module a theme: what each panel asks, in one place with its title."""
