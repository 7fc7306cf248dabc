"""What the sources of media have in common: bytes on their way, how an address is shown, what an HTTP status means."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from processors.errors import ContentError, HealableError, InfrastructureError, Overloaded, Reason, SignalsError

__all__ = ["Incoming", "Source", "kind_for", "refused", "shown", "status_error"]

_LONGEST_SHOWN: Final = 300


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """The bytes of one object in parts of any size; declared_bytes: how many the store says there are, None if it does not."""

    declared_bytes: int | None
    parts: AsyncIterator[bytes]


class Source(Protocol):
    """Opens an address of one scheme. Raises SignalsErrors only, also while the parts are read."""

    def open(self, uri: str) -> AbstractAsyncContextManager[Incoming]: ...


def shown(uri: str) -> str:
    """The address for a message: without user, query and fragment, which may hold secrets, and not longer than 300 characters."""
    scheme, separator, rest = uri.partition("://")
    authority, slash, path = rest.partition("/")
    if scheme.lower() in ("http", "https"):
        authority, path = (part.partition("?")[0].partition("#")[0] for part in (authority, path))
    text = f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def refused(uri: str, why: str) -> ContentError:
    """The error for an address that is never fetched. why: the rest of a sentence."""
    return ContentError(Reason.ADDRESS_REFUSED, f"{shown(uri)!r} is not fetched: {why}")


def kind_for(kind: type[SignalsError], own: bool) -> type[SignalsError]:
    """The class of an error, by whose store it is: only the operator's own are infrastructure, and waited for without end.

    Any other host is a name that an event brings along: it is tried a few times, so that it cannot hold the event for ever.
    """
    return HealableError if issubclass(kind, InfrastructureError) and not own else kind


_BY_STATUS: Final[dict[int, tuple[type[SignalsError], Reason]]] = {
    HTTPStatus.UNAUTHORIZED: (ContentError, Reason.ACCESS_DENIED),
    HTTPStatus.PAYMENT_REQUIRED: (ContentError, Reason.ACCESS_DENIED),
    HTTPStatus.FORBIDDEN: (ContentError, Reason.ACCESS_DENIED),
    HTTPStatus.NOT_FOUND: (HealableError, Reason.NOT_FOUND),
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: (ContentError, Reason.ACCESS_DENIED),
    HTTPStatus.REQUEST_TIMEOUT: (HealableError, Reason.FETCH_TIMEOUT),
    HTTPStatus.GONE: (ContentError, Reason.NOT_FOUND),
    HTTPStatus.TOO_EARLY: (HealableError, Reason.STORE_UNAVAILABLE),
    HTTPStatus.TOO_MANY_REQUESTS: (Overloaded, Reason.STORE_UNAVAILABLE),
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: (ContentError, Reason.ACCESS_DENIED),
}


def status_error(status: int, uri: str, own: bool) -> SignalsError:
    """What a status other than 200 means for the object. 5xx: the store is away; what is not in the table: it will stay so.

    own: whether it is a store of the operator's.
    """
    away = (InfrastructureError, Reason.STORE_UNAVAILABLE)
    kind, reason = away if status >= 500 else _BY_STATUS.get(status, (ContentError, Reason.ADDRESS_REFUSED))
    return kind_for(kind, own)(reason, f"The store answered {status} for {shown(uri)}.")
