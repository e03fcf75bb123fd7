"""Open data for anybody: the page about the data sets, and their files as they were built."""
