"""The command ``python -m api``: the API and the pages as one process, on the database of KRAJ_DATABASE_URL."""

import sys

from api.app import run
from kraj.errors import KrajError
from kraj.settings import load

if __name__ == "__main__":
    try:
        run(load())
    except KrajError as error:
        sys.exit(f"error: {error}")
