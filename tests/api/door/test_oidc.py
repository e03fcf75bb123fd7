"""Signing in with an issuer: a real one runs here; and what it must say to be believed."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from api.door import oidc
from api.door.keeper import COOKIE
from kraj.errors import ConfigurationError
from kraj.settings import Settings
from tests.api.door.rig import People, Wall, at_door
from tests.waiting import PATIENCE_S

NAME = "petr@olsinka.example"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
async def browser(
    people: People, issuer: str, database_role_url: Callable[[str], str], wall: Wall, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    secret = tmp_path / "secret"
    secret.write_text("a-secret\n")
    settings = Settings(
        oidc_issuer=issuer, oidc_client_id="kraj", oidc_client_secret_file=secret, public_url="http://localhost"
    )
    async with at_door(database_role_url, wall, settings) as client:
        yield client


async def at_issuer(issuer: str, url: str, subject: str, **claims: Any) -> str:
    """What a person does at the issuer; the address to which it sends the browser back."""
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        await client.put(f"{issuer}/users/{subject}", json=claims)
        answer = await client.post(url, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def come_in(client: httpx.AsyncClient, issuer: str, subject: str, **claims: Any) -> httpx.Response:
    start = await client.get("/sign-in/oidc?next=/alerts")
    assert start.status_code == 303, start.text
    return await client.get(await at_issuer(issuer, start.headers["location"], subject, **claims))


async def test_an_invited_person_comes_in_by_a_verified_e_mail_and_then_by_the_subject(
    people: People, browser: httpx.AsyncClient, issuer: str
) -> None:
    people.add(NAME, "crew", "olsinka", password=None)
    assert "Sign in with your organisation" in (await browser.get("/sign-in")).text
    answer = await come_in(browser, issuer, "s-1", email=NAME.upper(), email_verified=True)
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts")
    assert (await browser.get("/v1/me")).json()["name"] == NAME
    await browser.post("/sign-out")
    answer = await come_in(browser, issuer, "s-1", email="other@olsinka.example", email_verified=True)
    assert answer.status_code == 303, "the subject is who they are, not the e-mail"


@pytest.mark.parametrize(
    "claims",
    [
        {"email": NAME, "email_verified": False},
        {"email": NAME},
        {"email": NAME, "email_verified": "true"},
        {"email": "stranger@olsinka.example", "email_verified": True},
        {},
    ],
)
async def test_who_was_not_invited_or_is_not_verified_stays_outside(
    people: People, browser: httpx.AsyncClient, issuer: str, claims: dict[str, Any]
) -> None:
    people.add(NAME, "crew", "olsinka", password=None)
    answer = await come_in(browser, issuer, f"s-{hash(str(claims))}", **claims)
    assert answer.status_code == 403
    assert "Nobody has invited this account" in answer.text
    assert COOKIE not in browser.cookies


async def test_another_subject_with_the_same_e_mail_is_another_person(
    people: People, browser: httpx.AsyncClient, issuer: str
) -> None:
    people.add(NAME, "crew", "olsinka", issuer=issuer, subject="s-first")
    answer = await come_in(browser, issuer, "s-second", email=NAME, email_verified=True)
    assert answer.status_code == 403


async def test_an_administrator_still_gives_a_second_factor(
    people: People, browser: httpx.AsyncClient, issuer: str
) -> None:
    people.add(NAME, "municipality_admin", "olsinka", issuer=issuer, subject="s-admin")
    await come_in(browser, issuer, "s-admin")
    assert (await browser.get("/v1/me")).json()["type"] == "/problems/second_factor"


async def test_a_code_that_this_browser_did_not_ask_for_signs_in_nobody(
    people: People, browser: httpx.AsyncClient, issuer: str
) -> None:
    people.add(NAME, "crew", "olsinka", issuer=issuer, subject="s-thief")
    start = await browser.get("/sign-in/oidc")
    back = await at_issuer(issuer, start.headers["location"], "s-thief")
    cookie = browser.cookies["kraj_oidc"]
    browser.cookies.delete("kraj_oidc")
    answer = await browser.get(back)
    assert (answer.status_code, "The sign-in began elsewhere" in answer.text) == (400, True)
    await browser.get("/sign-in/oidc")  # another one, with a state of its own
    assert (await browser.get(back)).status_code == 400
    for bad in ("", "nonsense", "e30=", cookie[:-8]):
        browser.cookies.delete("kraj_oidc")
        browser.cookies.set("kraj_oidc", bad, domain="localhost.local", path="/sign-in/oidc")
        assert (await browser.get(back)).status_code == 400
    assert COOKIE not in browser.cookies


async def test_an_issuer_that_refuses_or_is_away_is_told(people: People, browser: httpx.AsyncClient) -> None:
    start = await browser.get("/sign-in/oidc")
    state = parse_qs(urlsplit(start.headers["location"]).query)["state"][0]
    answer = await browser.get(f"/sign-in/oidc/callback?error=access_denied&state={state}")
    assert (answer.status_code, "failed" in answer.text) == (403, True)
    answer = await browser.get(f"/sign-in/oidc/callback?code=made-up&state={state}")
    assert answer.status_code == 403
    answer = await browser.get(f"/sign-in/oidc/callback?code=x&state={state}&iss=https://evil.example")
    assert answer.status_code == 403


async def test_what_goes_to_the_issuer_is_bound_by_pkce_state_and_nonce(
    browser: httpx.AsyncClient,
) -> None:
    seen: set[str] = set()
    for _ in range(3):
        asked = parse_qs(urlsplit((await browser.get("/sign-in/oidc")).headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["redirect_uri"] == ["http://localhost/sign-in/oidc/callback"]
        seen |= {asked[name][0] for name in ("state", "nonce", "code_challenge")}
    assert len(seen) == 9


GOOD: dict[str, Any] = {"iss": "https://a.example", "aud": "kraj", "sub": "s", "nonce": "n", "iat": 1000, "exp": 2000}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, None),
        ({"aud": ["kraj"]}, None),
        ({"aud": ["other", "kraj"], "azp": "kraj"}, None),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"iss": "https://a.example/"}, "issuer"),
        ({"aud": "other"}, "audience"),
        ({"aud": ["other"]}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": ["other", "kraj"]}, "authorized party"),
        ({"exp": 1400}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": "2000"}, "expired"),
        ({"iat": 1700}, "issued in the future"),
        ({"iat": None}, "issued in the future"),
        ({"nonce": "other"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": ""}, "subject"),
        ({"sub": 7}, "subject"),
    ],
)
def test_every_claim_is_checked(change: dict[str, Any], wrong: str | None) -> None:
    assert oidc.wrong_claims({**GOOD, **change}, "https://a.example", "kraj", "n", 1500) == wrong


class Issuing:
    """An issuer without a network, whose keys and tokens a test chooses."""

    def __init__(self) -> None:
        self.url = "https://issuer.example"
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.published = self.key
        self.asked_keys = 0
        self.token = ""

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("openid-configuration"):
            ends = {n: f"{self.url}/{n}" for n in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
            return httpx.Response(200, json={"issuer": self.url, **ends})
        if request.url.path == "/jwks_uri":
            self.asked_keys += 1
            return httpx.Response(200, json={"keys": [self.published.as_dict(private=False)]})
        return httpx.Response(200, json={"id_token": self.token})

    def sign(self, nonce: str, *, key: Any = None, header: dict[str, str] | None = None) -> None:
        now = int(time.time())
        claims = {"iss": self.url, "aud": "kraj", "sub": "s", "nonce": nonce, "iat": now, "exp": now + 60}
        used = key or self.key
        self.token = jwt.encode(header or {"alg": "RS256", "kid": used.kid}, claims, used)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.answer))


async def test_a_new_key_of_the_issuer_is_fetched_and_a_foreign_one_is_refused() -> None:
    now = [0.0]
    there = Issuing()
    issuer = oidc.Issuer(there.url, "kraj", "s", "http://localhost/x", client=there.client, monotonic=lambda: now[0])
    _, started = await issuer.start("/")
    there.sign(started.nonce)
    assert (await issuer.finish(started, "c")).subject == "s"
    there.key = there.published = RSAKey.generate_key(2048, {"kid": "two"})
    there.sign(started.nonce)
    now[0] += oidc.KEYS_EVERY_S_MIN + 1
    assert (await issuer.finish(started, "c")).subject == "s"
    foreign = RSAKey.generate_key(2048, {"kid": "two"})
    there.sign(started.nonce, key=foreign)
    for _ in range(5):
        with pytest.raises(oidc.IssuerError):
            await issuer.finish(started, "c")
    assert there.asked_keys <= 3, "who sends rubbish does not make us ask the issuer each time"
    head, body, _ = there.token.split(".")
    there.token = f"eyJhbGciOiJub25lIn0.{body}."
    with pytest.raises(oidc.IssuerError):
        await issuer.finish(started, "c")
    assert head


def test_settings_of_an_issuer_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    from api.app import create

    for settings, words in (
        (Settings(oidc_issuer="https://a.example"), "CLIENT_ID"),
        (Settings(oidc_issuer="http://a.example", oidc_client_id="k"), "https"),
        (
            Settings(oidc_issuer="https://a.example", oidc_client_id="k", oidc_client_secret_file=tmp_path / "none"),
            "CLIENT_SECRET_FILE",
        ),
    ):
        with pytest.raises(ConfigurationError, match=words):
            create(settings, "postgresql://localhost/kraj")
