"""``python -m ingest``: one ingest process, settings from the environment."""

import sys

from ingest.service import run
from kraj import settings
from kraj.errors import KrajError

try:
    run(settings.load())
except KrajError as error:
    sys.exit(f"kraj ingest: {error}")
