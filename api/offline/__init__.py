"""Working without a connection: what a browser needs to keep the crew's pages, and to be installed."""
