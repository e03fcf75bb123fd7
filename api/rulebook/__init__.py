"""What people keep of the rules: their own ones, other thresholds, maintenance windows; each tried before it is on."""
