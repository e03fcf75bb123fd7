"""What Grafana reads from its disk: provisioning of data sources and dashboards, for those who mount them."""

import json
from collections.abc import Mapping
from typing import Any

from dashboards.source import Postgres, prometheus_source, source

PASSWORD_VARIABLE = "KRAJ_GRAFANA_DATABASE_PASSWORD"  # noqa: S105 - its name
MOUNTED = "/etc/grafana/kraj/dashboards"
"""Where the container sees the folder of dashboards."""


def files(
    postgres: Postgres, prometheus_url: str | None, dashboards: Mapping[str, dict[str, Any]], mounted: str = MOUNTED
) -> dict[str, str]:
    """Path in the folder → text. Only ``grafana.env`` holds a secret."""
    sources = [source(postgres, password=f"${PASSWORD_VARIABLE}")]
    if prometheus_url:
        sources.append(prometheus_source(prometheus_url))
    provider = {
        "name": "Kraj",
        "type": "file",
        "folder": "Kraj",
        "folderUid": "kraj",
        "allowUiUpdates": False,
        "updateIntervalSeconds": 60,
        "options": {"path": mounted},
    }
    return {
        "provisioning/datasources/kraj.yaml": _yaml({"apiVersion": 1, "datasources": sources}),
        "provisioning/dashboards/kraj.yaml": _yaml({"apiVersion": 1, "providers": [provider]}),
        "grafana.env": f"{PASSWORD_VARIABLE}={postgres.password}\n",
        **{
            f"dashboards/{slug}.json": json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
            for slug, document in dashboards.items()
        },
    }


def _yaml(document: Mapping[str, Any]) -> str:
    return "# Written by `kraj dashboards files`.\n" + json.dumps(document, ensure_ascii=False, indent=2) + "\n"
