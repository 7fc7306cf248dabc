"""Media from S3 and what speaks like it, through obstore. Which endpoint is asked is the operator's choice, never the event's."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import obstore
from obstore import exceptions
from obstore.store import S3Store

from processors.errors import ContentError, HealableError, InfrastructureError, Reason, SignalsError
from streams.clients.incoming import Incoming, refused, shown, status_error
from streams.clients.spool import PART_BYTES

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

__all__ = ["S3Source", "map_error"]

_CONNECT_TIMEOUT: Final = timedelta(seconds=5)
_RETRIES: Final = 2
_STORES_KEPT: Final = 16
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # S3 User Guide, "General purpose bucket naming rules"
_URL: Final = re.compile(r"https?://\S+")
_STATUS: Final = re.compile(r"status code: (\d{3})")

Row = tuple[type[SignalsError], Reason]

_AWAY: Final[Row] = (InfrastructureError, Reason.STORE_UNAVAILABLE)
_DENIED: Final[Row] = (ContentError, Reason.ACCESS_DENIED)
_REFUSED: Final[Row] = (ContentError, Reason.ADDRESS_REFUSED)
_MISSING: Final[Row] = (HealableError, Reason.NOT_FOUND)
_CUT_SHORT: Final[Row] = (HealableError, Reason.STORE_UNAVAILABLE)

# obstore tells most failures apart only in its text: these are looked for in order, before the status and the class.
_BY_TEXT: Final[tuple[tuple[re.Pattern[str], Row], ...]] = (
    # the worker's credentials, clock or region, not this object
    (
        re.compile(
            r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|RequestTimeTooSkewed|AuthorizationHeaderMalformed"
        ),
        _AWAY,
    ),
    (re.compile(r"kind: Timeout|TimedOut"), (HealableError, Reason.FETCH_TIMEOUT)),
    (re.compile(r"kind: (Interrupted|Body|Decode)"), _CUT_SHORT),
)
_BY_CLASS: Final[dict[type[BaseException], Row]] = {
    FileNotFoundError: _MISSING,
    exceptions.NotFoundError: _MISSING,
    exceptions.PermissionDeniedError: _DENIED,
    PermissionError: _DENIED,
    exceptions.UnauthenticatedError: _DENIED,
    exceptions.InvalidPathError: _REFUSED,
    ValueError: _REFUSED,
    exceptions.AlreadyExistsError: _AWAY,
    exceptions.PreconditionError: _AWAY,
    exceptions.NotModifiedError: _AWAY,
    exceptions.NotSupportedError: _AWAY,
    NotImplementedError: _AWAY,
    exceptions.JoinError: _AWAY,
    exceptions.UnknownConfigurationKeyError: _AWAY,
    exceptions.GenericError: _AWAY,
    exceptions.BaseError: _AWAY,
    TimeoutError: (HealableError, Reason.FETCH_TIMEOUT),
    OSError: _AWAY,
}


def map_error(error: BaseException, uri: str) -> SignalsError | None:
    """The error of obstore as ours; None for one that is not obstore's."""
    known = next((_BY_CLASS[kind] for kind in type(error).__mro__ if kind in _BY_CLASS), None)
    if known is None:
        return None
    text = _without_key(str(error), uri)
    said = next((row for pattern, row in _BY_TEXT if pattern.search(text)), None)
    status = _STATUS.search(text)
    if said is None and status and isinstance(error, exceptions.GenericError):
        return status_error(int(status[1]), uri, own=True)
    kind, reason = said or known
    return kind(reason, f"{shown(uri)} cannot be fetched ({_first_line(text)}).")


class S3Source:
    """Opens s3://bucket/key; the key is taken as it stands, nothing in it is decoded.

    endpoint: empty for AWS, else http(s)://host:port, asked path-style. access_key_id: empty for the environment's credentials.
    """

    def __init__(
        self,
        endpoint: str,
        region: str,
        access_key_id: str,
        secret_access_key: str,
        total_seconds: float,
        idle_seconds: float,
    ) -> None:
        self._config: S3Config = {"region": region, "virtual_hosted_style_request": False}
        if endpoint:
            self._config["endpoint"] = endpoint
        if access_key_id:
            self._config |= {"access_key_id": access_key_id, "secret_access_key": secret_access_key}
        self._client: ClientConfig = {
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": _CONNECT_TIMEOUT,
            "read_timeout": timedelta(seconds=idle_seconds),
            "timeout": timedelta(seconds=total_seconds),
        }
        self._total = timedelta(seconds=total_seconds)
        self._store = lru_cache(maxsize=_STORES_KEPT)(self._new_store)

    @asynccontextmanager
    async def open(self, uri: str) -> AsyncIterator[Incoming]:
        bucket, key = _bucket_and_key(uri)
        with _errors(uri):
            found = await obstore.get_async(self._store(bucket), key)
            yield Incoming(found.meta["size"], aiter(found.stream(min_chunk_size=PART_BYTES)))

    def _new_store(self, bucket: str) -> S3Store:
        retry: RetryConfig = {"max_retries": _RETRIES, "retry_timeout": self._total}
        return S3Store(bucket, config=self._config, client_options=self._client, retry_config=retry)


def _bucket_and_key(uri: str) -> tuple[str, str]:
    """Raises ContentError (ADDRESS_REFUSED) for keys that obstore would change on the way: it would fetch another object."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise refused(uri, "write it s3://bucket/key, with the name of a bucket as S3 allows it.")
    if any(segment in ("", ".", "..") for segment in key.split("/")):
        raise refused(uri, "its key is empty, begins or ends with '/', or has a part that is empty, '.' or '..'.")
    return bucket, key


@contextmanager
def _errors(uri: str) -> Iterator[None]:
    try:
        yield
    except SignalsError:
        raise
    except Exception as error:
        if (ours := map_error(error, uri)) is None:
            raise
        raise ours from error


def _without_key(text: str, uri: str) -> str:
    """What obstore says, less the object's name and address: a name must not be taken for a reason."""
    return _URL.sub("…", text.replace(uri.partition("://")[2].partition("/")[2], "…"))


def _first_line(text: str) -> str:
    """obstore's own sentence, without the dump of Rust's error below it."""
    return text.partition("\n")[0].strip()[:300]
