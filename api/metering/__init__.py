"""Money and meters by REST and pages: prices, CO2 factors, metering points, files, invoices, and whether they agree."""
