"""Signing in with an issuer of OpenID Connect: authorization code with PKCE; what it says is checked."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from kraj.errors import KrajError, UnavailableError

TIMEOUT_S = 10.0
BODY_BYTES_MAX = 512 * 1024
METADATA_S = 3600.0
"""How long what an issuer says of itself is believed."""
KEYS_EVERY_S_MIN = 10.0
"""An unknown key makes us ask for the keys again, but not more often: others may send us tokens as they like."""
LEEWAY_S = 60
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with a public key only: with HS256 the client's own secret would do, and with none anything."""
SECOND_FACTORS = frozenset({"mfa", "otp", "hwk", "swk", "fpt", "face", "pin", "sms"})
"""RFC 8176: how somebody has shown who they are, besides a password."""


class IssuerError(KrajError):
    """What an issuer sent is not to be believed, or it refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What must come back unchanged; kept in a cookie of this browser for some minutes."""

    state: str
    nonce: str
    verifier: str
    onward: str

    def text(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()

    @classmethod
    def read(cls, text: str) -> "Started | None":
        """From the cookie; None for what is none."""
        try:
            found = json.loads(base64.urlsafe_b64decode(text.encode()))
            return cls(**{name: str(found[name]) for name in ("state", "nonce", "verifier", "onward")})
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the issuer says of somebody."""

    issuer: str
    subject: str
    email: str | None
    second_factor: bool


class Issuer:
    """One issuer; what it says of itself and its keys are asked for when first needed."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        redirect: str,
        *,
        client: Callable[[], httpx.AsyncClient] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self._id = client_id
        self._secret = client_secret
        self._redirect = redirect
        self._client = client or (lambda: httpx.AsyncClient(timeout=TIMEOUT_S))
        self._monotonic = monotonic
        self._wall = wall
        self._metadata: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def start(self, onward: str) -> tuple[str, Started]:
        """The address to send the browser to, and what to keep meanwhile."""
        started = Started(
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            onward=onward,
        )
        metadata = await self._discover()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(started.verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._id,
                "redirect_uri": self._redirect,
                "scope": "openid email profile",
                "state": started.state,
                "nonce": started.nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        endpoint = str(metadata["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}", started

    async def finish(self, started: Started, code: str) -> Said:
        """Who it was, by the code that the browser brought back. Raises ``IssuerError`` when it does not hold."""
        metadata = await self._discover()
        answer = await self._ask(
            "POST",
            str(metadata["token_endpoint"]),
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect,
                "code_verifier": started.verifier,
                **({} if self._secret else {"client_id": self._id}),  # one way of saying who asks, as RFC 6749 wants
            },
            auth=self._basic(),
        )
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise IssuerError(f"{self.issuer} sent no id_token: {answer.get('error', '?')}")
        claims = await self._claims(token, started.nonce)
        email = claims.get("email") if claims.get("email_verified") is True else None
        methods = claims.get("amr")
        return Said(
            issuer=self.issuer,
            subject=claims["sub"],
            email=email.strip().lower() if isinstance(email, str) else None,
            second_factor=isinstance(methods, list) and bool(SECOND_FACTORS.intersection(map(str, methods))),  # pyright: ignore[reportUnknownArgumentType]
        )

    def _basic(self) -> httpx.Auth | None:
        return httpx.BasicAuth(quote(self._id, safe=""), quote(self._secret, safe="")) if self._secret else None

    async def _claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        try:
            claims = jwt.decode(token, await self._key_set(), algorithms=ALGORITHMS).claims
        except (JoseError, ValueError):
            try:  # the issuer may have taken a new key since
                claims = jwt.decode(token, await self._key_set(anew=True), algorithms=ALGORITHMS).claims
            except (JoseError, ValueError) as error:
                raise IssuerError(f"the id_token of {self.issuer} is not signed by it: {error}") from error
        wrong = wrong_claims(claims, self.issuer, self._id, nonce, self._wall())
        if wrong is not None:
            raise IssuerError(f"the id_token of {self.issuer} does not hold: {wrong}")
        return claims

    async def _discover(self) -> Mapping[str, Any]:
        if self._metadata is None or self._monotonic() - self._metadata[0] > METADATA_S:
            found = await self._ask("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.issuer:
                raise IssuerError(f"{self.issuer} calls itself {found.get('issuer')!r}; set KRAJ_OIDC_ISSUER to that")
            secure = urlsplit(self.issuer).scheme == "https"
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if urlsplit(str(found.get(name, ""))).scheme not in ({"https"} if secure else {"https", "http"}):
                    raise IssuerError(f"{self.issuer}: {name} is not https")
            self._metadata = self._monotonic(), found
        return self._metadata[1]

    async def _key_set(self, *, anew: bool = False) -> KeySet:
        age = self._monotonic() - self._keys[0] if self._keys is not None else None
        if self._keys is None or age is None or age > METADATA_S or (anew and age > KEYS_EVERY_S_MIN):
            found = await self._ask("GET", str((await self._discover())["jwks_uri"]))
            try:
                self._keys = self._monotonic(), KeySet.import_key_set({"keys": list(found.get("keys", []))})
            except (JoseError, ValueError, TypeError) as error:
                raise IssuerError(f"the keys of {self.issuer} cannot be read: {error}") from error
        return self._keys[1]

    async def _ask(self, method: str, url: str, **what: Any) -> Mapping[str, Any]:
        try:
            async with self._client() as client:
                answer = await client.request(method, url, headers={"accept": "application/json"}, **what)
            found: Any = json.loads(answer.content[:BODY_BYTES_MAX])
        except httpx.HTTPError as error:
            raise UnavailableError(f"{self.issuer} does not answer: {error}") from error
        except ValueError as error:
            raise IssuerError(f"{self.issuer} sent something that is no JSON") from error
        if not isinstance(found, dict):
            raise IssuerError(f"{self.issuer} sent something that is no object")
        return found  # pyright: ignore[reportUnknownVariableType]


def wrong_claims(claims: Mapping[str, Any], issuer: str, client_id: str, nonce: str, now: float) -> str | None:  # noqa: PLR0911
    """What of an id_token does not hold (OpenID Connect Core 3.1.3.7), or None."""
    audience: Any = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if claims.get("iss") != issuer:
        return "issuer"
    if not isinstance(audiences, list) or client_id not in audiences:
        return "audience"
    if len(audiences) > 1 and claims.get("azp") != client_id:  # pyright: ignore[reportUnknownArgumentType]
        return "authorized party"
    expires, issued = claims.get("exp"), claims.get("iat")
    if not isinstance(expires, int | float) or expires < now - LEEWAY_S:
        return "expired"
    if not isinstance(issued, int | float) or issued > now + LEEWAY_S:
        return "issued in the future"
    if not secrets.compare_digest(str(claims.get("nonce", "")), nonce):
        return "nonce"
    if not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= 255:
        return "subject"
    return None
