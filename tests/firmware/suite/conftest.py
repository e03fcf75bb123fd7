"""Pytest leaves the suite to test_suite.py, which runs it under both interpreters."""

collect_ignore_glob = ["test_*.py"]
