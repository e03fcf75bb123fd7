"""Open311 GeoReport v2 and all that stands behind a citizen's report: taking, following, answering."""
