"""Media from http and https addresses that anybody may have written, through aiohttp.

No redirect is followed unseen, no proxy, cookie or password is sent, nothing is decompressed on the way.
"""

import errno
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from processors.errors import ContentError, HealableError, InfrastructureError, Reason, SignalsError
from streams.clients.address_guard import AddressGuard, GuardedResolver
from streams.clients.incoming import Incoming, kind_for, refused, shown, status_error

__all__ = ["MOST_REDIRECTS", "HttpSource", "map_error"]

MOST_REDIRECTS: Final = 5

_CONNECT_SECONDS: Final = 10.0
_BUFFER_BYTES: Final = 256 * 1024
_QUOTED: Final = re.compile(r"[!-~]*")
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_AWAY: Final = (InfrastructureError, Reason.STORE_UNAVAILABLE)
_CUT_SHORT: Final = (HealableError, Reason.STORE_UNAVAILABLE)
_LATE: Final = (HealableError, Reason.FETCH_TIMEOUT)
_REFUSED: Final = (ContentError, Reason.ADDRESS_REFUSED)

_WORKERS_OWN: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS))

# The nearest class of an error counts. A store that cannot be reached is away; a host that breaks off, or whose certificate is
# wrong, may be better in a while; what is no request at all stays refused. For hosts that are not the operator's see kind_for.
_BY_CLASS: Final[dict[type[BaseException], tuple[type[SignalsError], Reason]]] = {
    TimeoutError: _LATE,
    aiohttp.ServerTimeoutError: _LATE,
    aiohttp.ClientConnectorError: _AWAY,
    aiohttp.ClientSSLError: _CUT_SHORT,
    aiohttp.ClientConnectorCertificateError: _CUT_SHORT,
    aiohttp.ServerFingerprintMismatch: _CUT_SHORT,
    aiohttp.ClientConnectionError: _CUT_SHORT,
    aiohttp.ClientPayloadError: _CUT_SHORT,
    aiohttp.UploadAbortedError: _CUT_SHORT,
    aiohttp.ClientResponseError: _CUT_SHORT,
    aiohttp.InvalidURL: _REFUSED,
    aiohttp.RedirectClientError: _REFUSED,
    aiohttp.NonHttpUrlClientError: _REFUSED,
    HttpProcessingError: _CUT_SHORT,
    OSError: _AWAY,
}


def map_error(error: BaseException, uri: str, own: bool) -> SignalsError | None:
    """The error of aiohttp as ours; None for one that is not aiohttp's. own: whether the host is one of the operator's."""
    no_fault_of_the_host = isinstance(error, OSError) and error.errno in _WORKERS_OWN
    for kind in type(error).__mro__:
        if kind in _BY_CLASS:
            ours, reason = _BY_CLASS[kind]
            return kind_for(ours, own or no_fault_of_the_host)(reason, f"{shown(uri)} cannot be fetched ({_said(error)}).")
    return None


class HttpSource:
    """Opens http and https addresses. idle_seconds: the longest silence. One session, made at the first request."""

    def __init__(self, guard: AddressGuard, idle_seconds: float) -> None:
        self._guard = guard
        self._idle_seconds = idle_seconds
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def open(self, uri: str) -> AsyncIterator[Incoming]:
        response, own = await self._answer(uri)
        with _errors(uri, own):
            try:
                if response.status not in (200, 203):
                    raise status_error(response.status, uri, own)
                encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
                if encoding != "identity":
                    raise refused(uri, f"it comes with Content-Encoding {encoding[:40]!r} although identity was asked for.")
                yield Incoming(response.content_length, response.content.iter_any())
            finally:
                response.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _answer(self, uri: str) -> tuple[aiohttp.ClientResponse, bool]:
        """The first answer that is no redirect, and whether it is of a store of the operator's.

        Each address on the way there is checked like the first.
        """
        url = self._checked(uri)
        for _ in range(MOST_REDIRECTS + 1):
            own = self._guard.allows(url.raw_host or "", url.port or 0)
            with _errors(uri, own):
                response = await self._get(url)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return response, own
            response.close()
            url = self._checked(location, url)
        raise refused(uri, f"there are more than {MOST_REDIRECTS} redirects on the way to it.")

    async def _get(self, url: URL) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=GuardedResolver(self._guard), limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=self._idle_seconds),
                headers={"Accept-Encoding": "identity", "User-Agent": "content-signals"},
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                read_bufsize=_BUFFER_BYTES,
            )
        return await self._session.get(url, allow_redirects=False)

    def _checked(self, uri: str, base: URL | None = None) -> URL:
        try:
            url = URL(uri, encoded=bool(_QUOTED.fullmatch(uri)))  # as it stands: a signature may cover each character
            url = base.join(url) if base else url
            host, port = url.raw_host, url.port
        except ValueError:
            raise refused(uri, "it is no address.") from None
        if url.scheme not in ("http", "https") or not host or not port:
            raise refused(uri, "it is no http or https address.")
        if url.raw_user is not None or url.raw_password is not None:
            raise refused(uri, "it holds a user or a password. Use an address that needs none.")
        self._guard.check_literal(host, port)
        return url


@contextmanager
def _errors(uri: str, own: bool) -> Iterator[None]:
    try:
        yield
    except SignalsError:
        raise
    except Exception as error:
        if (ours := map_error(error, uri, own)) is None:
            raise
        raise ours from None  # aiohttp's own text may hold the whole address, signature included


def _said(error: BaseException) -> str:
    """What is known without repeating the address."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
