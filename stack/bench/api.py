"""``kraj bench api``: a real API process on a large region: lists, details, latest values, alerts, import, enrolment.

Requests leave by the clock, not when the one before has been answered, so that a slow answer is not hidden by waiting
for it. Two thirds come from municipalities, a third from the region. The wall is tried with every foreign id, too.
"""

import asyncio
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg

from api.door.keeper import COOKIE
from kraj import certificates
from kraj.errors import UnavailableError
from kraj.store.migrate import migrate
from stack import authority
from stack.bench import estate, revocation, wall
from stack.bench.estate import Clerk
from stack.bench.processes import environment, stop, wait_until
from stack.bench.requests import Requests
from stack.bench.wall import Planted
from stack.database import EmbeddedPostgres
from stack.process import free_port

TOWNS = 200
CLERKS = 12
IMPORT_ROWS = 10_000
ENROLMENTS = 300
AT_ONCE = 16
ATTEMPTS = 10_000
REVOCATIONS = 8
TIMEOUT_S = 30.0

OPERATIONS = (
    ("devices", "/v1/devices?limit=50"),
    ("devices of a town", "/v1/devices?limit=50&municipality={town}"),
    ("device", "/v1/devices/lamp-{device:06}"),
    ("latest of a town", "/v1/latest?municipality={town}&limit=200"),
    ("latest of an asset", "/v1/assets/{asset}/latest"),
    ("alerts", "/v1/alerts?municipality={town}"),
)


def run(devices: int, rate: float, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure, and give what ``kraj bench api --json`` prints."""
    folder = Path(tempfile.mkdtemp(prefix="kraj-bench-"))
    folder.chmod(0o711)
    with EmbeddedPostgres(folder / "database") as server:
        migrate(server.url())
        with psycopg.connect(server.url(), autocommit=True) as owner:
            estate.build(owner, devices, TOWNS, say)
            clerks = [estate.sign_in(owner, f"clerk{n}@kraj.example", *_post(n)) for n in range(CLERKS)]
            authority.ensure(folder / "authority", datetime.now(UTC))
            port = free_port()
            env = environment() | {
                "KRAJ_DATABASE_URL": server.url("kraj_api"),
                "KRAJ_API_PORT": str(port),
                "KRAJ_AUTHORITY_DIR": str(folder / "authority"),
                "KRAJ_STATE_DIR": str(folder),
                "KRAJ_API_SHARE_PER_S": "0",  # a municipality's share would answer before the wall does
            }
            with (folder / "api.log").open("wb") as log:
                process = subprocess.Popen([sys.executable, "-m", "api"], env=env, stdout=log, stderr=log)
            try:
                found = _measure(owner, port, clerks, devices=devices, rate=rate, seconds=seconds, say=say)
                fresh = [f"lamp-{devices - 1 - n:06}" for n in range(REVOCATIONS)]
                base, signed = f"http://127.0.0.1:{port}", _signed(clerks[0])
                found |= revocation.measure(server.url(), base, signed, folder, fresh, say)
            except httpx.HTTPError as error:
                raise UnavailableError(f"the API failed: {error!r}; see {folder / 'api.log'}") from error
            finally:
                stop(process)
    return {"devices": devices, "municipalities": TOWNS, **found}


def _post(number: int) -> tuple[str, str | None]:
    """Every third one is of the region."""
    return ("region_admin", None) if number % 3 == 0 else ("municipality_admin", estate.town(number))


def _measure(
    owner: psycopg.Connection[Any],
    port: int,
    clerks: Sequence[Clerk],
    *,
    devices: int,
    rate: float,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    base = f"http://127.0.0.1:{port}"
    wait_until(lambda: _answers(base), "the API")

    async def work() -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=base, timeout=TIMEOUT_S) as client:
            async with Requests(port, AT_ONCE * 4) as load:
                found = await _load(load, clerks, devices=devices, rate=rate, seconds=seconds)
            say(f"p50 {found['p50_ms']} ms, p99 {found['p99_ms']} ms, worst: {found['worst']}")
            found |= await _enrol(client, clerks[0], devices)
            say(f"{found['enrolments_per_s']} enrolments a second")
            found |= await _import(client, clerks[0])
            say(f"import of {IMPORT_ROWS:,} devices: {found['import_10k_s']} s ({found['import_said']})")
            found |= await _try_wall(owner, client, clerks)
            say(f"{found['wall_attempts']:,} attempts at another's things, {found['wall_faults']} faults")
            return found

    return asyncio.run(work())


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _signed(clerk: Clerk) -> dict[str, str]:
    return {"cookie": f"{COOKIE}={clerk.session}", "sec-fetch-site": "same-origin"}


async def _load(
    load: Requests, clerks: Sequence[Clerk], *, devices: int, rate: float, seconds: float
) -> dict[str, Any]:
    spent: dict[str, list[float]] = {name: [] for name, _ in OPERATIONS}
    failed = 0

    async def ask(number: int, due: float) -> None:
        nonlocal failed
        name, pattern = OPERATIONS[number % len(OPERATIONS)]  # one after another, as many people's questions come
        clerk = clerks[number // len(OPERATIONS) % len(clerks)]
        town_number = int(clerk.municipality[-3:]) if clerk.municipality else number % TOWNS
        device = town_number + TOWNS * (number % (devices // TOWNS))
        url = pattern.format(town=estate.town(town_number), device=device, asset=device + 1)
        status = await load.get(url, _signed(clerk))
        spent[name].append(1000 * (time.perf_counter() - due))
        failed += status != 200

    for number in range(len(clerks) * len(OPERATIONS)):  # plans, caches, connections
        await ask(number, time.perf_counter())
    failed = 0
    for values in spent.values():
        values.clear()
    began, tasks = time.perf_counter(), list[asyncio.Task[None]]()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(number, due)))
    await asyncio.gather(*tasks)
    took = time.perf_counter() - began
    every = sorted(ms for values in spent.values() for ms in values)
    worst = max(spent, key=lambda name: _share(sorted(spent[name]), 0.99))
    return {
        "requests_per_s": round(len(every) / took, 1),
        "requests_failed": failed,
        "p50_ms": round(_share(every, 0.5), 1),
        "p99_ms": round(_share(every, 0.99), 1),
        "worst": f"{worst}: p99 {_share(sorted(spent[worst]), 0.99):.0f} ms",
        "operations": {
            name: {"p50_ms": round(_share(sorted(v), 0.5), 1), "p99_ms": round(_share(sorted(v), 0.99), 1)}
            for name, v in spent.items()
        },
    }


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def _enrol(client: httpx.AsyncClient, clerk: Clerk, devices: int) -> dict[str, Any]:
    """Codes and keys are made before; measured is what a device waits for."""
    names = [f"lamp-{n:06}" for n in range(min(ENROLMENTS, devices))]
    codes = [
        (await client.post(f"/v1/devices/{name}/provision", headers=_signed(clerk))).json()["code"] for name in names
    ]
    requests = [certificates.request(certificates.new_key()).decode() for _ in names]
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(code: str, csr: str) -> int:
        async with gate:
            while True:
                answer = await client.post("/v1/enrol", json={"code": code, "csr": csr})
                if answer.status_code != 429:
                    return answer.status_code
                await asyncio.sleep(0.2)  # all come from one address here, as through a gateway

    began = time.perf_counter()
    statuses = await asyncio.gather(*(one(*pair) for pair in zip(codes, requests, strict=True)))
    took = time.perf_counter() - began
    return {"enrolments_per_s": round(statuses.count(200) / took, 1), "enrolments": statuses.count(200)}


async def _import(client: httpx.AsyncClient, clerk: Clerk) -> dict[str, Any]:
    """Upload, preview and apply a table as a Czech Excel saves it."""
    lines = ["Označení;Zařízení;Druh;Obec;Zeměpisná šířka;Zeměpisná délka"]
    lines += [
        f"IMP-{n};imported-{n:05};svítidlo;{estate.town(n % TOWNS)};{49.3 + n / 1e5:.6f};{15.3 + n / 1e5:.6f}".replace(
            ".", ","
        )
        for n in range(IMPORT_ROWS)
    ]
    headers = _signed(clerk) | {"content-type": "text/csv"}
    began = time.perf_counter()
    answer = await client.post("/v1/imports", content="\r\n".join(lines).encode("cp1250"), headers=headers)
    body: dict[str, Any] = answer.json()
    while answer.status_code < 300 and "job_id" in body and body.get("state") not in ("done", "failed", "lost"):
        await asyncio.sleep(0.1)
        body = (await client.get(f"/v1/jobs/{body['job_id']}", headers=_signed(clerk))).json()
    made = body.get("result") or f"/v1/imports/{body.get('import_id')}"  # a large file is a job, and it says where
    done = await client.post(f"{made}/apply", headers=_signed(clerk))
    took = time.perf_counter() - began
    return {"import_10k_s": round(took, 1) if done.status_code < 300 else None, "import_said": done.text[:200]}


async def _try_wall(
    owner: psycopg.Connection[Any], client: httpx.AsyncClient, clerks: Sequence[Clerk]
) -> dict[str, Any]:
    """Every operation with every foreign id by every clerk of another municipality, until there are enough."""
    victim = estate.town(0)
    planted = wall.plant(owner, victim, each=12)
    document = (await client.get("/openapi.json", headers=_signed(clerks[0]))).json()
    gate, faults, count = asyncio.Semaphore(AT_ONCE), list[str](), 0

    async def one(attempt: wall.Attempt, clerk: Clerk) -> None:
        async with gate:
            headers = _signed(clerk) | ({"if-match": "*"} if attempt.method in wall.WRITING - {"post"} else {})
            answer = await client.request(
                attempt.method, attempt.path, params=dict(attempt.query) or None, json=attempt.body, headers=headers
            )
            if fault := attempt.fault(answer.status_code, answer.text, planted.words):
                faults.append(fault)

    locals_ = [clerk for clerk in clerks if clerk.municipality not in (None, victim)]
    for clerk in itertools.cycle(locals_):
        own = Planted({"municipality": (clerk.municipality,), "name": ("vlastni-1",), "kind": ("lamp",)}, frozenset())
        tries = list(wall.attempts(document, planted, own))
        await asyncio.gather(*(one(attempt, clerk) for attempt in tries))
        count += len(tries)
        if count >= ATTEMPTS:
            break
    return {"wall_attempts": count, "wall_faults": len(faults), "wall_fault": faults[:3]}
