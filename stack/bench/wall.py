"""Attempts at another municipality's things: every operation of the OpenAPI document with every foreign id.

The document names the operations, so that a new route is tried without anybody thinking of it. Answers are searched
for words that stand only in the other municipality's rows and that the request itself did not name.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

CANARY = "kanarek"
"""Part of every text of the other municipality, and of nothing else."""
BODY_MAX = 40
"""Bodies tried for one address."""
FINE = frozenset({400, 401, 403, 404, 405, 409, 412, 415, 422, 428})
LIMITED = "/v1/enrol"
"""Only there an attempt may be told to wait: elsewhere it would not have come to the wall."""
WRITING = frozenset({"post", "patch", "put", "delete"})
Json = Any


@dataclass(frozen=True, slots=True)
class Planted:
    """What belongs to the other municipality: values by the name of a parameter or field, and its words."""

    values: Mapping[str, tuple[Any, ...]]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request. ``strict``: it names something foreign where it matters, so that it must not succeed."""

    method: str
    path: str
    operation: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Json | None = None
    strict: bool = True

    def fault(self, status: int, text: str, words: frozenset[str]) -> str | None:
        """What is wrong with the answer; None where it is as it should be."""
        where = f"{self.method.upper()} {self.path} {dict(self.query)} {json.dumps(self.body)[:300]}"
        waits = status == 429 and self.path.startswith(LIMITED)
        if status not in FINE and not waits and not 200 <= status < 400:
            return f"{where}: {status}: {text[:300]}"
        if self.strict and 200 <= status < 300:
            return f"{where}: {status}: it succeeded: {text[:300]}"
        sent = json.dumps([self.path, dict(self.query), self.body], ensure_ascii=False)
        leaked = [word for word in words if word in text and word not in sent]
        return f"{where}: {status}: it tells {leaked}" if leaked else None


def plant(connection: psycopg.Connection[Any], municipality: str, each: int = 3) -> Planted:
    """Give a registered municipality words of its own everywhere, and name ``each`` of its assets and devices.

    ``connection`` is the owner's.
    """
    row = connection.execute("SELECT municipality_id FROM municipality WHERE name = %s", [municipality]).fetchone()
    town = row[0] if row else 0
    run = connection.execute
    run("UPDATE asset SET label = %s || asset_id, metadata = metadata || jsonb_build_object('x_note', %s || asset_id),"
        " version = version WHERE municipality_id = %s", [f"{CANARY}-label-", f"{CANARY}-note-", town])  # fmt: skip
    run("INSERT INTO asset_group (municipality_id, name) VALUES (%s, %s)", [town, f"{CANARY}-group"])
    run("INSERT INTO asset_group_member SELECT g.group_id, a.asset_id FROM asset_group g JOIN asset a"
        " USING (municipality_id) WHERE g.municipality_id = %s", [town])  # fmt: skip
    run("INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, active, notify,"
        " since, opened_at, changed_at, evidence) SELECT %s || asset_id, 'lamp_dark', 'asset', asset_id::text,"
        " municipality_id, asset_id, 'major', true, true, now(), now(), now(), '{}' FROM asset"
        " WHERE municipality_id = %s LIMIT %s ON CONFLICT DO NOTHING", [f"{CANARY}-alert-", town, each])  # fmt: skip
    run("INSERT INTO alert_event (alert_id, at, step, who, note) SELECT alert_id, now(), 'commented', %s, %s FROM alert"
        " WHERE municipality_id = %s", [f"{CANARY}-worker", f"{CANARY}-comment", town])  # fmt: skip
    run("INSERT INTO quarantine (digest, first_at, last_at, topic, source, reason, detail, payload, payload_bytes,"
        " batch_id) VALUES (%s, now(), now(), %s, %s, 'unknown_device', %s, %s, 20, 1)",
        [b"canary", f"kraj/{municipality}/{CANARY}-new/telemetry", f"{CANARY}-new", f"{CANARY}-detail",
         json.dumps({"power_w": 1, f"{CANARY}_key": 1}).encode()])  # fmt: skip
    run("INSERT INTO person (name, title, created_at) VALUES (%s, %s, now())",
        [f"{CANARY}@kraj.example", f"{CANARY}-person"])  # fmt: skip
    run("INSERT INTO membership (person_id, municipality_id, role, valid_from) SELECT person_id, %s, 'viewer', now()"
        " FROM person WHERE name = %s", [town, f"{CANARY}@kraj.example"])  # fmt: skip
    run("INSERT INTO device_life (device_id, at, step, state, who, reason) SELECT device_id, now(), 'suspended',"
        " 'suspended', 'x', %s FROM device WHERE municipality_id = %s", [f"{CANARY}-reason", town])  # fmt: skip
    return _planted(connection, municipality, town, each)


def _planted(connection: psycopg.Connection[Any], municipality: str, town: int, each: int) -> Planted:
    def of(query: str) -> tuple[Any, ...]:
        return tuple(value for (value,) in connection.execute(query.encode(), {"town": town, "each": each}).fetchall())

    devices = of("SELECT name FROM device WHERE municipality_id = %(town)s ORDER BY 1 LIMIT %(each)s")
    assets = of("SELECT asset_id FROM asset WHERE municipality_id = %(town)s ORDER BY 1 LIMIT %(each)s")
    values: dict[str, tuple[Any, ...]] = {
        "asset_id": assets,
        "assets": tuple([one] for one in assets),
        "add": tuple([one] for one in assets),
        "device": devices,
        "new": devices,
        "alert_id": of("SELECT alert_id FROM alert WHERE municipality_id = %(town)s ORDER BY 1"),
        "group_id": of("SELECT group_id FROM asset_group WHERE municipality_id = %(town)s"),
        "person_id": of("SELECT person_id FROM membership WHERE municipality_id = %(town)s"),
        "membership_id": of("SELECT membership_id FROM membership WHERE municipality_id = %(town)s"),
        "municipality": (municipality,),
        "devices/name": devices,
        "unregistered/name": (f"{CANARY}-new",),
        "municipalities/name": (municipality,),
    }
    words = {f"{CANARY}-{what}" for what in ("group", "worker", "comment", "new", "detail", "person", "reason")}
    words |= {f"{CANARY}-label-{one}" for one in assets} | {f"{CANARY}-note-{one}" for one in assets}
    return Planted(values, frozenset(words | {f"{CANARY}@kraj.example", f"{CANARY}_key", *devices}))


def attempts(document: Json, planted: Planted, own: Planted) -> Iterator[Attempt]:
    """Every operation with every foreign value in its path, its parameters and its body; one at a time.

    ``own`` fills what must be there besides. Addresses are /v1/… only.
    """
    for path, operations in document["paths"].items():
        if not path.startswith("/v1/"):
            continue
        for method, operation in operations.items():
            if any("text/event-stream" in answer.get("content", {}) for answer in operation["responses"].values()):
                continue  # it has no end to be searched; what it sends is told by tests of its own
            yield from _of_operation(document, path, method, operation, planted, own)


def _of_operation(  # noqa: PLR0917
    document: Json, path: str, method: str, operation: Json, planted: Planted, own: Planted
) -> Iterator[Attempt]:
    name = f"{method.upper()} {path}"
    given = [p for p in operation.get("parameters", []) if p["in"] == "path"]
    foreign = [_values(planted, path, p["name"]) for p in given]
    bodies = list(itertools.islice(_bodies(document, operation, own, None), BODY_MAX)) or [None]
    public = path.startswith("/v1/municipalities") and method == "get"
    for chosen in itertools.product(*(values for values, _ in foreign)) if given else ():
        known = all(sure for _, sure in foreign)
        address = path
        for parameter, value in zip(given, chosen, strict=True):
            address = address.replace("{" + parameter["name"] + "}", str(value))
        for body in bodies:
            yield Attempt(method, address, name, body=body, strict=known and not public)
    mine = path
    for parameter in given:
        values, _ = _values(own, path, parameter["name"])
        mine = mine.replace("{" + parameter["name"] + "}", str(values[0]) if values else "1")
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            for value in (*planted.values.get(parameter["name"], ()), *((CANARY,) if parameter["name"] == "q" else ())):
                yield Attempt(method, mine, name, {parameter["name"]: str(value)}, strict=False)
    for body in itertools.islice(_bodies(document, operation, own, planted), BODY_MAX):
        yield Attempt(method, mine, name, body=body)
    if method == "get" and not given:
        yield Attempt(method, mine, name, strict=False)


def _values(planted: Planted, path: str, name: str) -> tuple[tuple[Any, ...], bool]:
    """Values for a parameter of a path, and whether they are surely those of the other municipality."""
    kept = path.split("/")
    place = kept[kept.index("{" + name + "}") - 1]
    found = planted.values.get(f"{place}/{name}") or planted.values.get(name)
    return (found, True) if found else ((1, 2, 4711), False)


def _bodies(document: Json, operation: Json, own: Planted, planted: Planted | None) -> Iterator[Json]:
    """Bodies with one foreign value in each; without ``planted`` the one that has our own only."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return
    schema = _resolved(document, content["schema"])
    options: list[Json] = schema.get("oneOf") or schema.get("anyOf") or [schema]
    for option in options:
        chosen = _resolved(document, option)
        base = {
            name: _example(document, _resolved(document, one), name, own)
            for name, one in chosen.get("properties", {}).items()
            if name in chosen.get("required", ())
        }
        if planted is None:
            yield base or _one(document, chosen, own)
            continue
        for name in chosen.get("properties", {}):
            for value in planted.values.get(name, ()):
                yield base | {name: value}


def _one(document: Json, schema: Json, own: Planted) -> Json:
    """A body where nothing is required: with one member."""
    for name, one in schema.get("properties", {}).items():
        return {name: _example(document, _resolved(document, one), name, own)}
    return {}


def _example(document: Json, schema: Json, name: str, own: Planted) -> Json:
    for known in (own.values.get(name), schema.get("examples"), schema.get("enum")):
        if known:
            return known[0]
    if "anyOf" in schema:
        return _example(document, _resolved(document, schema["anyOf"][0]), name, own)
    if schema.get("type") == "object":
        required = {
            key: value for key, value in schema.get("properties", {}).items() if key in schema.get("required", ())
        }
        return {key: _example(document, _resolved(document, one), key, own) for key, one in required.items()}
    if schema.get("format") == "date-time":
        return "2026-11-22T06:15:00Z"
    simple: dict[str, Json] = {"integer": 1, "number": 1.0, "boolean": True, "array": []}
    return schema.get("const", simple.get(schema.get("type", ""), "abc"))


def _resolved(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        found = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found.get(part, {})
        schema = found
    return schema
