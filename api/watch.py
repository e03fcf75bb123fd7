"""Around every request: it is counted and timed, its host is checked, and the answer carries the security headers."""

import ipaddress
import time
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "geolocation=(self), camera=(), microphone=()",
}
HSTS = "max-age=31536000"
"""Where TLS is in front, browsers do not try without it for a year."""


class Requests:
    """The counters of one application, for /metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._total = Counter("kraj_api_requests", "Requests by route template.", labels, registry=self.registry)
        self._seconds = Histogram(
            "kraj_api_request_seconds",
            "Time to the end of the answer.",
            ("route",),
            buckets=BUCKETS_S,
            registry=self.registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer; ``route`` is a template, so that there are as many series as routes."""
        self._total.labels(method if method in METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class Watch:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, requests: Requests, public_url: str | None = None) -> None:
        self._app = app
        self._requests = requests
        public = urlsplit(public_url or "")
        self._public = public.netloc.lower()
        self._secure = public.scheme == "https"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)  # a page that stands alone brings its own policy
                headers.setdefault("cache-control", "no-store")
                if self._secure:
                    headers["strict-transport-security"] = HSTS
                message["headers"] = headers.raw
            await send(message)

        try:
            await self._chosen(scope)(scope, receive, send_guarded)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._requests.count(scope["method"], route, status, time.perf_counter() - started)

    def _chosen(self, scope: Scope) -> ASGIApp:
        host = Headers(scope=scope).get("host", "")
        client = scope.get("client")
        if local_host(host) and (client is None or local_host(client[0])):
            return self._app
        if not self._public or host.lower() != self._public:
            return _MISDIRECTED
        return self._app if not self._secure or scope["scheme"] == "https" else _PLAIN


_MISDIRECTED = PlainTextResponse(
    "This server answers to localhost, and to the host of KRAJ_PUBLIC_URL where that is set.\n", status_code=421
)
_PLAIN = PlainTextResponse(
    "This server is reached by https only. Behind a proxy: let it send X-Forwarded-Proto, and name its address in"
    " KRAJ_API_PROXIES.\n",
    status_code=421,
)


def local_host(host: str) -> bool:
    """Whether a Host header names this machine.

    Without this, a web page elsewhere could point its own name at 127.0.0.1 (DNS rebinding) and read everything
    through the visitor's browser.
    """
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
