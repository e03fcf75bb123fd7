"""Foreign devices: mappings and their trial, how a device is read, what it said last, and what is fetched for it."""
