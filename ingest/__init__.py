"""From the broker to the committed row: session, decoding, pipeline, acknowledgement."""

import sys
from typing import Any

if not {"rich", "structlog"} & set(sys.modules):
    # structlog takes rich in where it finds it, for tracebacks on terminals: 4 MB that a service has no use for.
    _modules: dict[str, Any] = sys.modules
    _modules["rich"] = None
    import structlog as structlog

    del _modules["rich"]
