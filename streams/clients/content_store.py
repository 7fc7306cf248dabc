"""Fetches assets from wherever events say they are, if it is allowed, into private files of ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from processors.errors import ContentError, HealableError, Reason
from schemas.records import Asset
from streams.clients.address_guard import AddressGuard, Lookup, system_lookup
from streams.clients.file_source import FileSource
from streams.clients.http_source import HttpSource
from streams.clients.incoming import Incoming, Source, refused, shown
from streams.clients.s3_source import S3Source
from streams.clients.spool import Spool, SpoolFile
from streams.ports import LocalMedia
from streams.settings import Settings

__all__ = ["ContentStore"]


class ContentStore:
    """`streams.ports.Fetch`: `async with store(asset) as media`. Schemes: file, http, https, s3.

    Bytes are counted and hashed while they come; what is too large, or not what the event says, is given up on the spot.
    """

    def __init__(self, settings: Settings, lookup: Lookup = system_lookup) -> None:
        self._most_bytes = settings.max_asset_bytes
        self._total_seconds = settings.fetch_timeout_seconds
        self._spool = Spool(settings.spool_dir)
        self._http = HttpSource(AddressGuard(settings.allowed_hosts.split(","), lookup), settings.fetch_idle_seconds)
        s3 = S3Source(
            settings.s3_endpoint,
            settings.s3_region,
            settings.s3_access_key_id,
            settings.s3_secret_access_key.get_secret_value(),
            settings.fetch_timeout_seconds,
            settings.fetch_idle_seconds,
        )
        roots = [Path(root) for root in settings.file_roots.split(":") if root]
        self._sources: dict[str, Source] = {
            "file": FileSource(roots, self._spool),
            "http": self._http,
            "https": self._http,
            "s3": s3,
        }

    @asynccontextmanager
    async def __call__(self, asset: Asset) -> AsyncIterator[LocalMedia]:
        """The asset as a file under a name of ours, gone when the context ends.

        Raises ContentError (refused, too large, not what the event says), HealableError (not there, too slow, cut short),
        InfrastructureError (store away, spool full).
        """
        source = self._source(asset.uri)
        self._check_size(asset.size_bytes, asset)
        async with self._spool.file() as file:
            try:
                async with asyncio.timeout(self._total_seconds), source.open(asset.uri) as incoming:
                    await self._receive(incoming, asset, file)
            except TimeoutError:
                detail = f"{shown(asset.uri)} did not come within {self._total_seconds:g} s (SIGNALS_FETCH_TIMEOUT_SECONDS)."
                raise HealableError(Reason.FETCH_TIMEOUT, detail) from None
            self._check_whole(asset, file)
            yield LocalMedia(file.path, file.size_bytes, file.sha256)

    async def close(self) -> None:
        await self._http.close()
        await self._spool.close()

    def _source(self, uri: str) -> Source:
        scheme, separator, _ = uri.partition("://")
        if not separator or scheme.lower() not in self._sources:
            raise refused(uri, f"only {', '.join(f'{name}://' for name in self._sources)} are fetched.")
        return self._sources[scheme.lower()]

    async def _receive(self, incoming: Incoming, asset: Asset, file: SpoolFile) -> None:
        self._check_size(incoming.declared_bytes, asset)
        async for part in incoming.parts:
            so_far = file.size_bytes + len(part)
            if so_far > min(self._most_bytes, asset.size_bytes or self._most_bytes):
                self._check_size(so_far, asset)
            await file.write(part)
        await file.flush()
        if incoming.declared_bytes is not None and file.size_bytes != incoming.declared_bytes:
            detail = f"{shown(asset.uri)} was cut short: {file.size_bytes} of {incoming.declared_bytes} bytes came."
            raise HealableError(Reason.STORE_UNAVAILABLE, detail)

    def _check_size(self, size_bytes: int | None, asset: Asset) -> None:
        if size_bytes is None:
            return
        if size_bytes > self._most_bytes:
            detail = f"{shown(asset.uri)} has {size_bytes} bytes or more; SIGNALS_MAX_ASSET_BYTES is {self._most_bytes}."
            raise ContentError(Reason.TOO_LARGE, detail)
        if asset.size_bytes is not None and size_bytes != asset.size_bytes:
            detail = f"{shown(asset.uri)} has {size_bytes} bytes or more; the event says {asset.size_bytes}."
            raise ContentError(Reason.SIZE_MISMATCH, detail)

    def _check_whole(self, asset: Asset, file: SpoolFile) -> None:
        if asset.size_bytes is not None and file.size_bytes != asset.size_bytes:
            detail = f"{shown(asset.uri)} has {file.size_bytes} bytes; the event says {asset.size_bytes}."
            raise ContentError(Reason.SIZE_MISMATCH, detail)
        if asset.sha256 is not None and file.sha256 != asset.sha256.lower():
            detail = f"{shown(asset.uri)} has the sha256 {file.sha256}; the event says {asset.sha256}."
            raise ContentError(Reason.CHECKSUM_MISMATCH, detail)
