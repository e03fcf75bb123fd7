"""Alerts for an Alertmanager that runs already (its API v2): ``alertmanager://host:9093/path``, with s for TLS.

What is open is posted again and again, as Alertmanager wants it, and what was closed within the last hour with its end:
no memory of our own is needed, and an Alertmanager that was away catches up. Who hears of it, and when, it says itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from kraj.alerts import Severity

SCHEMES = {"alertmanager": "http", "alertmanagers": "https"}
PORTS = {"alertmanager": 9093, "alertmanagers": 443}
SEND_S_MAX = 10.0
ERROR_CHARS_MAX = 300
EVERY = timedelta(seconds=30)
LASTS = timedelta(hours=1)
"""Alertmanager takes what is not posted again for over by then: as long may we be away."""
ALERTS_MAX = 1000
"""The latest; Alertmanager keeps the others until ``LASTS`` is over."""
NAME = "KrajAlert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """An alert as it is posted."""

    alert_id: int
    rule: str
    severity: Severity
    municipality: str | None
    scope_type: str
    place: str
    title: str
    text: str
    link: str
    since: datetime
    ended_at: datetime | None


def known(url: str) -> bool:
    """Whether this is an address of an Alertmanager, and a whole one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def alert(posted: Posted, now: datetime) -> dict[str, Any]:
    """One ``postableAlert`` of the API v2. Labels are what it is (they never change), annotations what is said."""
    labels = {
        "alertname": NAME,
        "kraj_alert_id": str(posted.alert_id),
        "rule": posted.rule,
        "scope": posted.scope_type,
        "place": posted.place,
        "municipality": posted.municipality or "",
    }
    return {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {"summary": posted.title, "description": posted.text, "severity": str(posted.severity)},
        "startsAt": _rfc3339(posted.since),
        "endsAt": _rfc3339(posted.ended_at or now + LASTS),
        "generatorURL": posted.link,
    }


def post(url: str, alerts: Sequence[dict[str, Any]]) -> str | None:
    """Post alerts and wait; None when they are taken, else what went wrong, without the address' secrets."""
    parts = urlsplit(url)
    base = f"{SCHEMES[parts.scheme]}://{parts.hostname}:{parts.port or PORTS[parts.scheme]}{parts.path.rstrip('/')}"
    token = parse_qs(parts.query).get("token")
    headers: dict[str, str] = {"authorization": f"Bearer {token[0]}"} if token else {}
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    try:
        with httpx.Client(timeout=SEND_S_MAX, auth=auth, headers=headers, trust_env=False) as client:
            answer = client.post(f"{base}/api/v2/alerts", json=list(alerts))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX]
    if answer.is_success:
        return None
    return f"Alertmanager answers {answer.status_code}: {answer.text.strip()}"[:ERROR_CHARS_MAX]


def test_alert(title: str, text: str, now: datetime) -> dict[str, Any]:
    """A test message, over in a minute."""
    return {
        "labels": {"alertname": NAME, "kraj_alert_id": "test"},
        "annotations": {"summary": title, "description": text, "severity": str(Severity.INFO)},
        "startsAt": _rfc3339(now),
        "endsAt": _rfc3339(now + timedelta(minutes=1)),
    }


def _rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
