import asyncio
import errno
import gzip
import hashlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import obstore
import pytest
from aiohttp import client_exceptions, http_exceptions, web

from processors.errors import ContentError, HealableError, InfrastructureError, Overloaded, Reason, SignalsError
from schemas.records import Asset, MediaKind
from streams.clients import file_source, http_source, s3_source
from streams.clients.content_store import ContentStore
from streams.clients.http_source import MOST_REDIRECTS
from streams.clients.incoming import shown
from streams.settings import Settings

BYTES = bytes(range(256)) * 1200  # 307,200 bytes: more than one part on the way
SHA256 = hashlib.sha256(BYTES).hexdigest()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def asset(uri: str, **more: Any) -> Asset:
    return Asset(asset_id="a", kind=MediaKind.AUDIO, uri=uri, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "clip.bin").write_bytes(BYTES)
    return tmp_path


@asynccontextmanager
async def opened(folder: Path, **more: Any) -> AsyncIterator[ContentStore]:
    """A store; when it is closed, nothing may be left in the spool folder."""
    lookup = {"lookup": more.pop("lookup")} if "lookup" in more else {}
    store = ContentStore(Settings(spool_dir=folder / "spool", file_roots=str(folder / "media"), **more), **lookup)
    try:
        yield store
        assert [path for path in (folder / "spool").rglob("*") if path.is_file()] == []
    finally:
        await store.close()
    assert list((folder / "spool").iterdir()) == []


async def fetched(store: ContentStore, wanted: Asset) -> bytes:
    async with store(wanted) as media:
        data = media.path.read_bytes()
        assert media.size_bytes == len(data)
        assert media.sha256 == hashlib.sha256(data).hexdigest()
        return data


async def failure(store: ContentStore, wanted: Asset) -> SignalsError:
    with pytest.raises(SignalsError) as raised:
        await fetched(store, wanted)
    return raised.value


class Site:
    """A web server on loopback. Paths are its handlers; what it was asked is remembered."""

    def __init__(self) -> None:
        self.requests: list[web.BaseRequest] = []
        self.handlers: dict[str, Handler] = {"/clip": self.clip}
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    async def clip(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=BYTES)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        return await self.handlers[request.path](request)  # type: ignore[arg-type]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = web.Server(site.serve)
    runner = web.ServerRunner(server)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.1)
    await place.start()
    site.port = runner.addresses[0][1]
    yield site
    await runner.cleanup()


@asynccontextmanager
async def raw_server(answer: bytes, then_silent: bool = False) -> AsyncIterator[str]:
    """Sends these bytes for any request, then closes or says no more; gives its host:port."""
    ended = asyncio.Event()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if then_silent:
                await ended.wait()
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        ended.set()
        await asyncio.gather(*serving)


# ---- http: what arrives ----


async def test_http_fetches_the_bytes(folder: Path, site: Site) -> None:
    """An asset that is what the event says arrives whole, and is gone afterwards."""
    async with opened(folder, allowed_hosts=site.host) as store:
        wanted = asset(site.url("/clip"), sha256=SHA256.upper(), size_bytes=len(BYTES))
        async with store(wanted) as media:
            path = media.path
            assert path.read_bytes() == BYTES
            assert (media.size_bytes, media.sha256) == (len(BYTES), SHA256)
            assert path.is_relative_to(folder / "spool")
            assert "clip" not in path.name
        assert not path.exists()


async def test_http_request_carries_nothing_of_ours(folder: Path, site: Site) -> None:
    """No cookies, credentials or compression; presigned queries pass unchanged; fragments stay here."""

    async def with_cookie(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=BYTES)
        response.set_cookie("session", "1")
        return response

    site.handlers["/a b+c"] = with_cookie
    query = "X-Amz-Credential=AK%2F2026%2Fs3&X-Amz-Signature=a%2Bb%3D"
    async with opened(folder, allowed_hosts=site.host) as store:
        for _ in range(2):
            await fetched(store, asset(site.url(f"/a%20b+c?{query}#part")))
    for request in site.requests:
        assert request.raw_path == f"/a%20b+c?{query}"
        assert request.headers["Accept-Encoding"] == "identity"
        assert not {"Cookie", "Authorization", "Referer"} & set(request.headers)


async def test_http_connections_are_used_again(folder: Path, site: Site) -> None:
    """One session for all fetches, made at the first."""
    async with opened(folder, allowed_hosts=site.host) as store:
        for _ in range(3):
            await fetched(store, asset(site.url("/clip")))
    assert len({request.transport for request in site.requests}) == 1


async def test_http_does_not_unpack(folder: Path, site: Site) -> None:
    """An answer that is compressed all the same is refused: a small one could become a huge one."""

    async def packed(request: web.Request) -> web.StreamResponse:
        return web.Response(body=gzip.compress(BYTES), headers={"Content-Encoding": "gzip"})

    site.handlers["/packed"] = packed
    async with opened(folder, allowed_hosts=site.host) as store:
        error = await failure(store, asset(site.url("/packed")))
    assert error.reason is Reason.ADDRESS_REFUSED
    assert "'gzip'" in error.detail


# ---- http: where it may go ----


async def test_private_addresses_are_refused_unasked(folder: Path, site: Site) -> None:
    """Loopback by number or by name is refused, and the server there hears nothing of it."""
    async with opened(folder) as store:
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.①", "127。0。0。1"):
            error = await failure(store, asset(f"http://{host}:{site.port}/clip"))
            assert isinstance(error, ContentError), host
            assert error.reason is Reason.ADDRESS_REFUSED, host
    assert site.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "127%2E0%2E0%2E1",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ],
)
async def test_addresses_in_disguise_are_refused(folder: Path, host: str) -> None:
    """No notation of a private address gets through."""
    async with opened(folder) as store:
        assert (await failure(store, asset(f"http://{host}/latest/meta-data"))).reason is Reason.ADDRESS_REFUSED


async def test_a_name_is_connected_to_where_it_was_checked(folder: Path, site: Site) -> None:
    """The name is looked up once; a second answer (DNS rebinding) is never asked for."""
    answers = [["127.0.0.1"], ["10.255.255.1"]]

    async def lookup(host: str, port: int) -> list[str]:
        return answers.pop(0)

    async with opened(folder, allowed_hosts="media.example", lookup=lookup) as store:
        assert await fetched(store, asset(f"http://media.example:{site.port}/clip")) == BYTES
    assert len(answers) == 1
    assert site.requests[0].headers["Host"] == f"media.example:{site.port}"


async def test_a_name_of_a_private_address_is_refused(folder: Path, site: Site) -> None:
    """A public-looking name whose address is private does not reach the server there."""

    async def lookup(host: str, port: int) -> list[str]:
        return ["8.8.8.8", "127.0.0.1"]

    async with opened(folder, lookup=lookup) as store:
        error = await failure(store, asset(f"http://media.example:{site.port}/clip"))
    assert error.reason is Reason.ADDRESS_REFUSED
    assert site.requests == []


async def test_redirects_are_followed_when_each_is_allowed(folder: Path, site: Site) -> None:
    """Absolute and relative redirects lead to the object."""

    async def absolute(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(site.url("/second"))

    async def relative(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "clip"})

    site.handlers |= {"/first": absolute, "/second": relative}
    async with opened(folder, allowed_hosts=site.host) as store:
        assert await fetched(store, asset(site.url("/first"))) == BYTES


@pytest.mark.parametrize(
    "target",
    [
        "http://localhost:{port}/clip",
        "http://127.0.0.2:{port}/clip",
        "http://169.254.169.254/latest",
        "http://2130706433:{port}/clip",
        "http://user:secret@127.0.0.1:{port}/clip",
        "file:///etc/passwd",
        "s3://bucket/key",
        "http://[::1",
        "//[",
        "http://127.0.0.1:99999/",
    ],
)
async def test_redirects_elsewhere_are_refused(folder: Path, site: Site, target: str) -> None:
    """An allowed host cannot send us where we would not have gone by ourselves."""

    async def away(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": target.format(port=site.port)})

    site.handlers["/away"] = away
    async with opened(folder, allowed_hosts=site.host) as store:
        error = await failure(store, asset(site.url("/away")))
    assert isinstance(error, ContentError)
    assert error.reason is Reason.ADDRESS_REFUSED
    assert "secret" not in str(error)
    assert len(site.requests) == 1


async def test_redirects_come_to_an_end(folder: Path, site: Site) -> None:
    """A circle is left after five redirects."""

    async def circle(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/circle")

    site.handlers["/circle"] = circle
    async with opened(folder, allowed_hosts=site.host) as store:
        assert (await failure(store, asset(site.url("/circle")))).reason is Reason.ADDRESS_REFUSED
    assert len(site.requests) == MOST_REDIRECTS + 1


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "clip.mp3",
        "/etc/passwd",
        "ftp://host/clip",
        "data:audio/wav;base64,AAAA",
        "concat:a|b",
        "http:///clip",
        "http://",
        "http://[::1",
        "http://host:99999/",
        "http://user@media.example/clip",
        "http://user:secret@media.example/clip",
        "http://:secret@media.example/clip",
        "gs://bucket/key",
    ],
)
async def test_what_is_no_address_for_us_is_refused(folder: Path, uri: str) -> None:
    """Unknown schemes, broken addresses and addresses with passwords are refused; the password is not repeated."""
    async with opened(folder) as store:
        error = await failure(store, asset(uri))
    assert isinstance(error, ContentError)
    assert error.reason is Reason.ADDRESS_REFUSED
    assert "secret" not in str(error)


# ---- http: what goes wrong ----


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (204, ContentError, Reason.ADDRESS_REFUSED),
        (302, ContentError, Reason.ADDRESS_REFUSED),
        (400, ContentError, Reason.ADDRESS_REFUSED),
        (401, ContentError, Reason.ACCESS_DENIED),
        (403, ContentError, Reason.ACCESS_DENIED),
        (404, HealableError, Reason.NOT_FOUND),
        (408, HealableError, Reason.FETCH_TIMEOUT),
        (410, ContentError, Reason.NOT_FOUND),
        (429, Overloaded, Reason.STORE_UNAVAILABLE),
        (451, ContentError, Reason.ACCESS_DENIED),
        (500, InfrastructureError, Reason.STORE_UNAVAILABLE),
        (503, InfrastructureError, Reason.STORE_UNAVAILABLE),
    ],
)
async def test_http_statuses(folder: Path, site: Site, status: int, kind: type[SignalsError], reason: Reason) -> None:
    """Each status has its class and reason, and the message names status and address without its query."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    site.handlers["/answer"] = answer
    async with opened(folder, allowed_hosts=site.host) as store:
        error = await failure(store, asset(site.url("/answer?signature=secret")))
    assert type(error) is kind
    assert error.reason is reason
    assert str(status) in error.detail
    assert site.url("/answer") in error.detail
    assert "secret" not in str(error)


async def test_http_size_and_checksum_are_compared(folder: Path, site: Site) -> None:
    """A changed object is refused, with both values; the size is compared before the body is read."""
    async with opened(folder, allowed_hosts=site.host) as store:
        error = await failure(store, asset(site.url("/clip"), sha256="0" * 64))
        assert error.reason is Reason.CHECKSUM_MISMATCH
        assert SHA256 in error.detail
        assert "0" * 64 in error.detail
        for size_bytes in (len(BYTES) - 1, len(BYTES) + 1, 0):
            error = await failure(store, asset(site.url("/clip"), size_bytes=size_bytes))
            assert error.reason is Reason.SIZE_MISMATCH
            assert str(len(BYTES)) in error.detail
            assert f"says {size_bytes}" in error.detail


@pytest.mark.parametrize("size_bytes", [None, 1000])
async def test_http_endless_bodies_are_cut(folder: Path, site: Site, size_bytes: int | None) -> None:
    """A body without a declared size is given up at the limit, or at the size that the event says."""
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            sent += 65536

    site.handlers["/endless"] = endless
    async with opened(folder, allowed_hosts=site.host, max_asset_bytes=1_000_000) as store:
        error = await failure(store, asset(site.url("/endless"), size_bytes=size_bytes))
    assert error.reason is (Reason.TOO_LARGE if size_bytes is None else Reason.SIZE_MISMATCH)
    assert sent < 32_000_000


async def test_http_too_large_is_refused_unread(folder: Path, site: Site) -> None:
    """The event's size is judged before anything is asked, the server's before anything is read."""
    async with opened(folder, allowed_hosts=site.host, max_asset_bytes=1000) as store:
        error = await failure(store, asset(site.url("/clip"), size_bytes=len(BYTES)))
        assert error.reason is Reason.TOO_LARGE
        assert site.requests == []
        error = await failure(store, asset(site.url("/clip")))
        assert error.reason is Reason.TOO_LARGE
        assert "SIGNALS_MAX_ASSET_BYTES is 1000" in error.detail


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", HealableError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", HealableError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", HealableError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nshort\r\n", HealableError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", HealableError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", HealableError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", HealableError),
        (b"\x00\xff\xfe", HealableError),
    ],
)
async def test_http_broken_answers_may_heal(folder: Path, answer: bytes, kind: type[SignalsError]) -> None:
    """What is cut short, or is no HTTP, is tried again a few times."""
    async with raw_server(answer) as host, opened(folder, allowed_hosts=host) as store:
        error = await failure(store, asset(f"http://{host}/clip?signature=secret"))
    assert type(error) is kind
    assert error.reason is Reason.STORE_UNAVAILABLE
    assert error.__cause__ is None
    assert "secret" not in str(error)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nslow"])
@pytest.mark.parametrize("limit", [{"fetch_idle_seconds": 0.1}, {"fetch_timeout_seconds": 0.1}])
async def test_http_silence_is_a_timeout(folder: Path, answer: bytes, limit: dict[str, float]) -> None:
    """A server that falls silent, before or in the body, is left after the idle or the total time."""
    async with raw_server(answer, then_silent=True) as host, opened(folder, allowed_hosts=host, **limit) as store:
        error = await failure(store, asset(f"http://{host}/clip"))
        assert isinstance(error, HealableError)
        assert error.reason is Reason.FETCH_TIMEOUT


def any_host(address: str) -> Callable[[str, int], Awaitable[list[str]]]:
    """A name service in which each name has this address."""

    async def lookup(host: str, port: int) -> list[str]:
        return [address]

    return lookup


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of these tests stand for those of strangers, which nobody has allowed."""
    monkeypatch.setattr("streams.clients.address_guard.is_public", lambda address: True)


@pytest.mark.usefixtures("loopback_is_public")
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_strangers_outage_is_not_waited_for(folder: Path, site: Site, status: int) -> None:
    """A host that only an event names is no infrastructure, whatever it answers: its event ends after a few attempts."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    site.handlers["/answer"] = answer
    async with opened(folder, lookup=any_host("127.0.0.1"), allowed_hosts="store.internal") as store:
        error = await failure(store, asset(f"http://stranger.example:{site.port}/answer"))
        own = await failure(store, asset(f"http://store.internal:{site.port}/answer"))
    assert type(error) is HealableError
    assert error.reason is Reason.STORE_UNAVAILABLE
    assert isinstance(own, InfrastructureError)


@pytest.mark.usefixtures("loopback_is_public")
async def test_a_stranger_who_is_not_there_is_not_waited_for(folder: Path, site: Site) -> None:
    """A refused connection of a host that only an event names may heal, also behind a redirect of a store of ours."""

    async def onwards(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://stranger.example:9/clip")

    site.handlers["/onwards"] = onwards
    async with opened(folder, lookup=any_host("127.0.0.1"), allowed_hosts=site.host) as store:
        for uri in ("http://stranger.example:9/clip", site.url("/onwards")):
            error = await failure(store, asset(uri))
            assert type(error) is HealableError
            assert error.reason is Reason.STORE_UNAVAILABLE


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_what_the_worker_lacks_is_no_strangers_fault(number: int) -> None:
    """An event does not fail because the worker has no descriptor or memory left for a connection."""
    error = aiohttp.ClientConnectorError.__new__(aiohttp.ClientConnectorError, number, os.strerror(number))
    error._os_error = OSError(number, os.strerror(number))
    error.errno = number
    assert type(http_source.map_error(error, "http://stranger.example/clip", own=False)) is InfrastructureError


async def test_http_nobody_there_is_an_outage(folder: Path) -> None:
    """A refused connection is the store being away."""
    async with opened(folder, allowed_hosts="127.0.0.1:9") as store:
        error = await failure(store, asset("http://127.0.0.1:9/clip"))
    assert type(error) is InfrastructureError
    assert error.reason is Reason.STORE_UNAVAILABLE


async def test_http_name_service_away_is_an_outage_and_no_such_host_is_not(folder: Path) -> None:
    """A store's name service that fails is everybody's trouble; a stranger's, or a name that does not exist, is this asset's."""
    numbers = [socket.EAI_AGAIN, socket.EAI_NONAME, socket.EAI_AGAIN]

    async def lookup(host: str, port: int) -> list[str]:
        raise socket.gaierror(numbers.pop(0), "as told")

    async with opened(folder, lookup=lookup, allowed_hosts="media.example") as store:
        assert type(await failure(store, asset("http://media.example/clip"))) is InfrastructureError
        assert type(await failure(store, asset("http://media.example/clip"))) is HealableError
        assert type(await failure(store, asset("http://stranger.example/clip"))) is HealableError


async def test_tls_that_is_none_may_heal(folder: Path, site: Site) -> None:
    """https to a server without TLS fails as that host's trouble."""
    async with opened(folder, allowed_hosts=site.host) as store:
        error = await failure(store, asset(f"https://{site.host}/clip"))
    assert isinstance(error, HealableError)


async def test_cancelling_a_fetch_leaves_nothing(folder: Path) -> None:
    """A cancelled fetch leaves no file behind."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 3_000_000
    async with raw_server(answer, then_silent=True) as host, opened(folder, allowed_hosts=host) as store:
        task = asyncio.create_task(fetched(store, asset(f"http://{host}/clip")))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_an_error_of_the_reader_passes(folder: Path) -> None:
    """What the caller raises while it has the file is not renamed, and the file is removed."""
    async with opened(folder) as store:
        with pytest.raises(TimeoutError, match="mine"):
            async with store(asset((folder / "media/clip.bin").as_uri())):
                raise TimeoutError("mine")


# ---- files ----


async def test_file_is_copied(folder: Path) -> None:
    """A file under a root arrives as a copy; names are percent-decoded."""
    odd = folder / "media" / "a b+c%41#ü?.bin"
    odd.write_bytes(b"odd")
    async with opened(folder) as store:
        clip = asset((folder / "media/clip.bin").as_uri(), sha256=SHA256, size_bytes=len(BYTES))
        assert await fetched(store, clip) == BYTES
        assert await fetched(store, asset(odd.as_uri())) == b"odd"
        assert await fetched(store, asset(f"file://localhost{folder}/media/clip.bin")) == BYTES
    assert (folder / "media/clip.bin").read_bytes() == BYTES


async def test_links_inside_a_root_are_followed(folder: Path) -> None:
    """A link to a file under a root is as good as the file."""
    (folder / "media/link").symlink_to(folder / "media/clip.bin")
    async with opened(folder) as store:
        assert await fetched(store, asset(f"file://{folder}/media/link")) == BYTES


def make_escapes(folder: Path) -> dict[str, str]:
    media, outside = folder / "media", folder / "outside"
    outside.mkdir()
    (outside / "secret.bin").write_bytes(b"secret")
    (folder / "media2").mkdir()
    (folder / "media2" / "sibling.bin").write_bytes(b"sibling")
    (media / "link").symlink_to(outside / "secret.bin")
    (media / "relative").symlink_to("../outside/secret.bin")
    (media / "dir").symlink_to(outside)
    (media / "chain").symlink_to("link")
    (media / "loop").symlink_to("loop")
    (media / "proc").symlink_to("/proc/self/environ")
    (media / "folder").mkdir()
    os.mkfifo(media / "fifo")
    return {
        "outside": f"file://{outside}/secret.bin",
        "dots": f"file://{media}/../outside/secret.bin",
        "encoded dots": f"file://{media}/%2e%2e/outside/secret.bin",
        "encoded slash": f"file://{media}/..%2foutside/secret.bin",
        "dots inside": f"file://{media}/folder/../clip.bin",
        "sibling": f"file://{folder}/media2/sibling.bin",
        "link": f"file://{media}/link",
        "relative link": f"file://{media}/relative",
        "linked folder": f"file://{media}/dir/secret.bin",
        "chain": f"file://{media}/chain",
        "proc": f"file://{media}/proc",
        "loop": f"file://{media}/loop",
        "folder": f"file://{media}/folder",
        "fifo": f"file://{media}/fifo",
        "device": "file:///dev/zero",
        "zero byte": f"file://{media}/clip.bin%00.mp3",
        "other host": f"file://otherhost{media}/clip.bin",
        "query": f"file://{media}/clip.bin?x",
        "root itself": f"file://{media}",
        "nothing": "file://",
        "long": f"file://{media}/{'x' * 300}",
    }


async def test_escapes_from_the_roots_are_refused(folder: Path) -> None:
    """No dots, links, encodings, special files or neighbours lead out of the roots."""
    async with opened(folder) as store:
        for name, uri in make_escapes(folder).items():
            error = await failure(store, asset(uri))
            assert isinstance(error, ContentError), name
            assert error.reason is Reason.ADDRESS_REFUSED, name


async def test_a_file_swapped_for_a_link_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The open file itself is checked: a link put there after the path was checked gains nothing."""
    outside = folder / "secret.bin"
    outside.write_bytes(b"secret")
    (folder / "media/link").symlink_to(outside)
    monkeypatch.setattr(os.path, "realpath", lambda path, **_: str(path))
    async with opened(folder) as store:
        assert (await failure(store, asset(f"file://{folder}/media/link"))).reason is Reason.ADDRESS_REFUSED


async def test_without_roots_no_file_is_read(folder: Path) -> None:
    """The default opens no folder, and the message names the setting."""
    store = ContentStore(Settings(spool_dir=folder / "spool"))
    error = await failure(store, asset((folder / "media/clip.bin").as_uri()))
    assert error.reason is Reason.ADDRESS_REFUSED
    assert "SIGNALS_FILE_ROOTS" in error.detail
    await store.close()


async def test_missing_file_may_come(folder: Path) -> None:
    """A file that is not there yet may heal."""
    async with opened(folder) as store:
        error = await failure(store, asset(f"file://{folder}/media/later.bin"))
    assert isinstance(error, HealableError)
    assert error.reason is Reason.NOT_FOUND


async def test_file_limits(folder: Path) -> None:
    """Size limit, size and checksum hold for files as well."""
    uri = (folder / "media/clip.bin").as_uri()
    async with opened(folder, max_asset_bytes=1000) as store:
        assert (await failure(store, asset(uri))).reason is Reason.TOO_LARGE
    async with opened(folder) as store:
        assert (await failure(store, asset(uri, size_bytes=5))).reason is Reason.SIZE_MISMATCH
        assert (await failure(store, asset(uri, sha256="0" * 64))).reason is Reason.CHECKSUM_MISMATCH


async def test_full_spool_is_an_outage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full while a fetch runs is waited for."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("streams.clients.spool._write_all", full)
    async with opened(folder) as store:
        error = await failure(store, asset((folder / "media/clip.bin").as_uri()))
    assert type(error) is InfrastructureError
    assert error.reason is Reason.STORE_UNAVAILABLE
    assert "is full" in error.detail


async def test_fetching_does_not_block_the_loop(folder: Path) -> None:
    """While a large file is copied, the loop turns, at least once for each part."""
    big = folder / "media/big.bin"
    with big.open("wb") as file:
        file.truncate(64 * 1024**2)
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.0001)

    watcher = asyncio.create_task(watch())
    async with opened(folder) as store, store(asset(big.as_uri())) as media:
        assert media.size_bytes == 64 * 1024**2
        assert turns >= 16
    watcher.cancel()


# ---- s3 without a server ----


@pytest.mark.parametrize(
    "uri",
    ["s3://", "s3://bucket", "s3://bucket/", "s3://UPPER/key", "s3://a/b", "s3://buc ket/key", "s3://host:9000/key", "s3://u:secret@bucket/key",
     "s3://bucket//key", "s3://bucket/a//b", "s3://bucket/a/", "s3://bucket/../other/key", "s3://bucket/./key"],
)  # fmt: skip
async def test_s3_addresses_that_cannot_be_are_refused(folder: Path, uri: str) -> None:
    """No bucket name that is none, no key that would become another one on the way."""
    async with opened(folder, s3_endpoint="http://127.0.0.1:9", s3_access_key_id="a", s3_secret_access_key="b") as store:
        error = await failure(store, asset(uri))
    assert isinstance(error, ContentError)
    assert error.reason is Reason.ADDRESS_REFUSED
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", InfrastructureError, Reason.STORE_UNAVAILABLE),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", ContentError, Reason.ADDRESS_REFUSED),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 12\r\n\r\nExpiredToken", InfrastructureError, Reason.STORE_UNAVAILABLE),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", ContentError, Reason.ACCESS_DENIED),
        (b"HTTP/1.1 403 No\r\nContent-Length: 25\r\n\r\n<Code>AccessDenied</Code>", ContentError, Reason.ACCESS_DENIED),
        (b"HTTP/1.1 403 No\r\nContent-Length: 21\r\n\r\nSignatureDoesNotMatch", InfrastructureError, Reason.STORE_UNAVAILABLE),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", HealableError, Reason.NOT_FOUND),
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", Overloaded, Reason.STORE_UNAVAILABLE),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", InfrastructureError, Reason.STORE_UNAVAILABLE),
        (b"HTTP/1.1 503 Slow\r\nContent-Length: 0\r\n\r\n", InfrastructureError, Reason.STORE_UNAVAILABLE),
        (b"", InfrastructureError, Reason.STORE_UNAVAILABLE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\nshort",
         HealableError, Reason.STORE_UNAVAILABLE),
    ],
)  # fmt: skip
async def test_s3_answers(folder: Path, answer: bytes, kind: type[SignalsError], reason: Reason) -> None:
    """Each answer of a store has its class: the object, the worker's credentials, or the store."""
    async with raw_server(answer) as host:
        options = {"s3_endpoint": f"http://{host}", "s3_access_key_id": "a", "s3_secret_access_key": "b"}
        async with opened(folder, **options) as store:
            error = await failure(store, asset("s3://bucket/ExpiredToken/kind: Timeout/clip.mp3"))
    assert type(error) is kind, error
    assert error.reason is reason
    assert "\n" not in error.detail


async def test_s3_silence_is_a_timeout(folder: Path) -> None:
    """A store that falls silent in the body is left after the idle time."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\nslow"
    async with raw_server(answer, then_silent=True) as host:
        options = {"s3_endpoint": f"http://{host}", "s3_access_key_id": "a", "s3_secret_access_key": "b"}
        async with opened(folder, fetch_idle_seconds=0.2, fetch_timeout_seconds=5, **options) as store:
            error = await failure(store, asset("s3://bucket/clip.mp3"))
    assert isinstance(error, HealableError)
    assert error.reason is Reason.FETCH_TIMEOUT


async def test_s3_nobody_there_is_an_outage(folder: Path) -> None:
    """A refused connection is the store being away."""
    options = {"s3_endpoint": "http://127.0.0.1:9", "s3_access_key_id": "a", "s3_secret_access_key": "b"}
    async with opened(folder, **options) as store:
        error = await failure(store, asset("s3://bucket/clip.mp3"))
    assert type(error) is InfrastructureError
    assert error.reason is Reason.STORE_UNAVAILABLE


# ---- no vendor's error is unmapped ----


def classes_of(module: ModuleType, root: type[BaseException]) -> list[type[BaseException]]:
    return [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, root)]


def aiohttp_errors() -> list[type[BaseException]]:
    found = classes_of(client_exceptions, aiohttp.ClientError)
    found += classes_of(http_exceptions, http_exceptions.HttpProcessingError)
    found += [TimeoutError, ConnectionResetError, ssl.SSLError]
    return sorted({kind for kind in found if kind is not aiohttp.ClientError}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", aiohttp_errors())
def test_no_error_of_aiohttp_is_unmapped(kind: type[BaseException]) -> None:
    """Each exception class of aiohttp has a row of its own or of a parent below the root."""
    error = kind.__new__(kind)
    if isinstance(error, aiohttp.ClientConnectorError):
        error._os_error = OSError(errno.ECONNREFUSED, "refused")
    assert isinstance(http_source.map_error(error, "http://host/path", own=True), SignalsError)
    assert not isinstance(http_source.map_error(error, "http://host/path", own=False), InfrastructureError)


def obstore_errors() -> list[type[BaseException]]:
    found = classes_of(obstore.exceptions, BaseException)
    return [*found, FileNotFoundError, PermissionError, NotImplementedError, TimeoutError, OSError, ValueError]


@pytest.mark.parametrize("kind", obstore_errors())
def test_no_error_of_obstore_is_unmapped(kind: type[BaseException]) -> None:
    """Each exception class of obstore has a row of its own, not only that of the root."""
    assert isinstance(s3_source.map_error(kind("text"), "s3://bucket/key"), SignalsError)
    assert kind in s3_source._BY_CLASS


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_no_error_of_the_disk_is_unmapped(number: int) -> None:
    """Each errno becomes one of ours."""
    assert isinstance(file_source.map_error(OSError(number, os.strerror(number)), "file:///x"), SignalsError)


def test_bugs_are_not_renamed() -> None:
    """An error that is no vendor's stays what it is."""
    assert http_source.map_error(KeyError("bug"), "http://host/", own=False) is None
    assert s3_source.map_error(KeyError("bug"), "s3://bucket/key") is None


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("https://u:p@host/path?X-Amz-Signature=s#f", "https://host/path"),
        ("https://host?sig=s", "https://host"),
        ("s3://bucket/what?#now", "s3://bucket/what?#now"),
        ("http://host/" + "x" * 1000, "http://host/" + "x" * 288 + "…"),
    ],
)
def test_addresses_are_shown_without_secrets(uri: str, text: str) -> None:
    """Messages show an address without user, query and fragment, and not for ever."""
    assert shown(uri) == text
