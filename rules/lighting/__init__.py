"""What street lighting knows: power and power factor of a driver, warm-up, ten-minute voltages, the load of an hour."""
