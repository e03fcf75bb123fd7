"""Foreign devices on their way in: their messages become readings, files and vendors' clouds become messages."""
