"""The HTTP side: REST for other systems, pages for people."""
