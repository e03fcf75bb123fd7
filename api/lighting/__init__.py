"""Light: programs, segments, previews, orders, commands and safety locks, by API and on pages."""
