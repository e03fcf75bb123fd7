"""What one sees without an account: the region's pages, the report of a fault; and the clerk's form for calls."""
