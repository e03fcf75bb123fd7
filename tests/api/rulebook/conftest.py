"""Lamps that have sent for some days before ``NOW``, and people with and without the right to change rules."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.api.conftest import NOW, Region

ENGLISH = {"accept-language": "en"}
HOT = """\
[gear_hot]
kind = "lamp"
when = "gear_temp_degc > limit_degc"
for = "10 min"
guards = []
thresholds = { limit_degc = 70 }
severity = "minor"
title = { cs = "Horký předřadník", en = "Hot gear" }
symptom = { cs = "Předřadník má {gear_temp_degc} °C.", en = "The gear has {gear_temp_degc} °C." }
"""
DAYS = 3


@pytest.fixture
def measured(region: Region) -> Region:
    """Both lamps of Olšinka hourly for three days; VO-9 is hot for two hours on the second of them."""
    for label in ("VO-9 Nádražní", "VO-10 Školní"):
        for hour in range(DAYS * 24):
            hot = label.startswith("VO-9") and 30 <= hour <= 32
            ts = NOW - timedelta(days=DAYS) + timedelta(hours=hour)
            region.reading(label, ts, hour + 1, gear_temp_degc=80.0 if hot else 40.0)
    return region


async def verdict(client: httpx.AsyncClient, location: str, seconds: float = 60) -> dict[str, Any]:
    """The trial when it is over."""
    found: dict[str, Any] = {}
    for _ in range(int(seconds / 0.2)):
        found = (await client.get(location, headers=ENGLISH)).json()
        if found["state"] in ("done", "failed"):
            return found
        await asyncio.sleep(0.2)
    raise AssertionError(f"no verdict within {seconds} s: {found}")


async def tried(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """Propose, and wait for the verdict."""
    answer = await client.post("/v1/trials", json={"municipality": "olsinka", **body}, headers=ENGLISH)
    assert answer.status_code == 202, answer.text
    return await verdict(client, answer.headers["location"])
