"""One HTTPS request to a stranger: bounded in time and size, and never to an address of our own network."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping

import httpx

from kraj.errors import PayloadError, UnavailableError

ANSWER_BYTES_MAX = 4 << 20
CONNECT_S_MAX = 10.0
TOTAL_S_MAX = 60.0
REDIRECTS_MAX = 3
Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host; raises ``UnavailableError``."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnavailableError(f"{host}: {error.strerror or error}") from error
    return [str(address[4][0]) for address in found]


def public(address: str) -> bool:
    """Whether an address is out in the internet; every other is ours, or nobody's."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global and not found.is_multicast


async def fetch(
    url: str,
    headers: Mapping[str, str],
    *,
    resolve: Resolve = resolve,
    permitted: Callable[[str], bool] = public,
    tls: ssl.SSLContext | None = None,
) -> bytes:
    """The answer's body. Raises ``PayloadError`` for what trying again does not mend, else ``UnavailableError``.

    The address is resolved once, checked, and that very one is connected to: a name that leads elsewhere the second
    time leads nowhere. Headers (they hold secrets) go to the first host only.
    """
    try:
        async with (
            asyncio.timeout(TOTAL_S_MAX),
            httpx.AsyncClient(
                verify=tls or ssl.create_default_context(),
                timeout=CONNECT_S_MAX,
                follow_redirects=False,
                trust_env=False,
            ) as client,
        ):
            target, sent = httpx.URL(url), dict(headers)
            for _ in range(REDIRECTS_MAX + 1):
                answer = await _request(client, target, sent, resolve, permitted)
                if isinstance(answer, bytes):
                    return answer
                if answer.host != target.host:
                    sent = {}
                target = answer
            raise PayloadError("foreign_message", f"more than {REDIRECTS_MAX} redirects")
    except TimeoutError as error:
        raise UnavailableError(f"no whole answer within {TOTAL_S_MAX:.0f} s") from error
    except httpx.InvalidURL as error:
        raise PayloadError("foreign_message", f"the address is wrong: {error}") from error
    except httpx.HTTPError as error:
        raise UnavailableError(f"{type(error).__name__}: {error}") from error


async def _request(
    client: httpx.AsyncClient,
    target: httpx.URL,
    headers: dict[str, str],
    resolve: Resolve,
    permitted: Callable[[str], bool],
) -> bytes | httpx.URL:
    """The body, or where the answer sends us."""
    if target.scheme != "https" or not target.host or target.userinfo:
        raise PayloadError(
            "foreign_message", f"only https:// addresses are fetched, not {target.scheme}://{target.host}"
        )
    addresses = await resolve(target.host, target.port or 443)
    if not addresses or not all(permitted(address) for address in addresses):
        raise PayloadError("foreign_message", f"{target.host} is an address of an inner network, which is not fetched")
    host = target.host if target.port is None else f"{target.host}:{target.port}"
    request = client.build_request(
        "GET",
        target.copy_with(host=addresses[0]),
        headers={"accept": "application/json", "user-agent": "kraj", **headers, "host": host},
        extensions={"sni_hostname": target.host},
    )
    answer = await client.send(request, stream=True)
    try:
        if answer.is_redirect:
            return target.join(answer.headers.get("location", ""))
        if answer.status_code >= 400:
            kind = UnavailableError if answer.status_code >= 500 or answer.status_code == 429 else None
            said = f"the answer is {answer.status_code} {answer.reason_phrase}"
            raise kind(said) if kind else PayloadError("foreign_message", said)
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > ANSWER_BYTES_MAX:
                raise PayloadError("too_large", f"the answer is longer than {ANSWER_BYTES_MAX} bytes")
        return bytes(body)
    finally:
        await answer.aclose()
