"""Monthly reports: one document a municipality and building, as a page, as PDF and as a table, sent by e-mail."""
