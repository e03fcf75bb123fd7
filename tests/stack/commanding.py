"""The ``kraj`` command in this process: one of its own takes a second of a processor to import what it needs."""

import contextlib
import io
import os
import sys
from subprocess import CompletedProcess
from unittest.mock import patch

from stack.cli import main


def kraj(*arguments: str, **env: str) -> CompletedProcess[str]:
    """What ``main`` does with these arguments, in an environment without other settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KRAJ_")}
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", ["kraj", *arguments]),
        patch.dict(os.environ, {**kept, **env}, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
