"""Public pages come from memory: made once at a time, at most every ten seconds, bounded, and nobody's."""

import asyncio

import httpx
import pytest

from api.principal import Principal, current
from api.problems import Problem
from api.public import shelf as shelves
from api.public.guarding import Guard
from api.public.shelf import Shelf, Wish, wish
from kraj.errors import UnavailableError
from tests.api.conftest import Region


class Kitchen:
    """Makes pages, counts them, and can fail; a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.made = 0
        self.at_once = 0
        self.most_at_once = 0
        self.error: Exception | None = None
        self.seen: list[Principal | None] = []
        self.shelf = Shelf(self.make, lambda: self.now)

    async def make(self, wanted: Wish) -> str:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.seen.append(current.get())
        await asyncio.sleep(0)
        self.at_once -= 1
        self.made += 1
        if self.error is not None:
            raise self.error
        return f"{wanted.path} {wanted.language} {self.made}"

    async def text(self, path: str = "/public", language: str = "cs") -> str:
        return (await self.shelf.get(Wish(path, language))).plain.decode()


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_many_at_once_get_one_page_and_pages_are_made_one_at_a_time() -> None:
    kitchen = Kitchen()
    found = await asyncio.gather(*(kitchen.text(path) for path in ("/public", "/public/a", "/public/b") * 5))
    assert len(set(found)) == 3
    assert (kitchen.made, kitchen.most_at_once) == (3, 1)


async def test_an_old_page_is_given_while_a_new_one_is_made_once() -> None:
    kitchen = Kitchen()
    assert await kitchen.text() == "/public cs 1"
    kitchen.now = shelves.FRESH_S
    assert await kitchen.text() == "/public cs 1"
    await settle()
    assert kitchen.made == 1
    kitchen.now += 0.1
    assert [await kitchen.text() for _ in range(5)] == ["/public cs 1"] * 5
    await settle()
    assert await kitchen.text() == "/public cs 2"
    kitchen.now += shelves.FRESH_S + shelves.STALE_S + 0.1
    assert await kitchen.text() == "/public cs 3", "too old to be given"


async def test_without_a_database_an_old_page_is_better_than_none_for_a_while() -> None:
    kitchen = Kitchen()
    await kitchen.text()
    kitchen.error = UnavailableError("database: away")
    kitchen.now = shelves.KEPT_S - 1
    assert await kitchen.text() == "/public cs 1"
    kitchen.now = shelves.KEPT_S + 1
    with pytest.raises(UnavailableError):
        await kitchen.text()


async def test_what_has_withdrawn_is_gone_with_the_next_making() -> None:
    kitchen = Kitchen()
    await kitchen.text()
    kitchen.error = Problem("not_found", 404, path="/public")
    kitchen.now = shelves.FRESH_S + 1
    await kitchen.text()
    await settle()
    with pytest.raises(Problem):
        await kitchen.text()


async def test_the_shelf_is_bounded_and_so_is_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen = Kitchen()
    for number in range(shelves.PAGES_MAX + 20):
        await kitchen.text(f"/public/{number}")
    assert kitchen.shelf.look(Wish("/public/0", "cs")) is None
    assert kitchen.shelf.look(Wish("/public/30", "cs")) is not None
    monkeypatch.setattr(shelves, "WAITING_MAX", 3)
    answers = await asyncio.gather(*(kitchen.text(f"/public/new{n}") for n in range(5)), return_exceptions=True)
    assert [type(one) for one in answers].count(UnavailableError) == 2


async def test_whoever_asks_pages_are_made_for_nobody() -> None:
    kitchen = Kitchen()
    mark = current.set(Principal(person_id=1, name="jana@kraj.example", title="Jana"))
    await kitchen.text()
    current.reset(mark)
    assert kitchen.seen == [None]


def test_what_no_page_knows_makes_no_other_page() -> None:
    plain = wish("/public", b"", "")
    assert wish("/public", b"utm_source=x&lang=de&_=123", "") == plain
    assert wish("/public", b"", "en-GB") == Wish("/public", "en")
    assert wish("/public", b"lang=cs", "en-GB") == Wish("/public", "cs", chosen=True)
    assert wish("/public", b"q=%20a%00" + b"b" * 900, "").q == "a" + "b" * 99


async def test_browsers_keep_what_has_not_changed(client: httpx.AsyncClient, region: Region) -> None:
    first = await client.get("/public", headers={"accept-language": "cs"})
    again = await client.get("/public", headers={"if-none-match": first.headers["etag"], "accept-language": "cs"})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert first.headers["cache-control"].startswith("public, max-age=10")
    assert first.headers["vary"] == "accept-language, accept-encoding"
    assert "set-cookie" not in first.headers
    assert "Jana" not in first.text
    assert first.headers["x-content-type-options"] == "nosniff"
    english = await client.get("/public", headers={"accept-language": "en"})
    plain = await client.get("/public", headers={"accept-language": "en", "accept-encoding": "identity"})
    assert english.headers["content-language"] == "en"
    assert (english.text, english.headers["content-encoding"]) == (plain.text, "gzip")
    assert english.headers["etag"] != plain.headers["etag"], "another encoding is another representation"
    head = await client.head("/public", headers={"accept-language": "en"})
    assert (head.status_code, head.content) == (200, b"")
    assert (await client.get("/public/nowhere")).status_code == 404


async def test_a_town_is_published_by_its_own_and_a_contradiction_changes_nothing(
    client: httpx.AsyncClient, region: Region
) -> None:
    address = "/v1/municipalities/olsinka"
    found = await client.get(address)
    assert found.json()["published"] is True
    tag = {"if-match": found.headers["etag"]}
    for body in ({}, {"published": None}, {"title": None}, {"published": "maybe"}):
        assert (await client.patch(address, json=body, headers=tag)).status_code == 400
    done = await client.patch(address, json={"title": "Olšina", "published": False}, headers=tag)
    assert done.json() == {"name": "olsinka", "title": "Olšina", "published": False}
    assert (await client.patch(address, json={"published": True}, headers=tag)).status_code == 412
    listed = (await client.get("/v1/municipalities")).json()["items"]
    assert [one["published"] for one in listed] == [False, True]
    assert (await client.get("/public/olsinka")).status_code == 404


def test_a_form_is_taken_from_a_person_and_not_from_a_machine() -> None:
    now = [100.0]
    guard = Guard(lambda: now[0])
    stamp = guard.stamp()
    for wait_s, more, good in ((0.5, {}, False), (1.5, {}, True), (1.5, {"website": "x"}, False), (90_000, {}, False)):
        now[0] = 100.0 + wait_s
        given = {"stamp": stamp, **more}
        if good:
            guard.check(given)
        else:
            with pytest.raises(Problem):
                guard.check(given)
    for forged in ("", ".", "x", "101.00." + "0" * 32, stamp.replace("100", "101")):
        now[0] = 103.0
        with pytest.raises(Problem):
            guard.check({"stamp": forged})
