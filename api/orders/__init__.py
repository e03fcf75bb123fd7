"""What a work order holds besides the alert: photos, and whom it can be given to."""
