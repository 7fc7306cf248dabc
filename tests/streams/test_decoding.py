"""The pool of decode processes: each test gives a process a script, as an inline text, and sees what comes of it."""

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio
from decode_features import Scripted

from processors.decode.limits import Limits
from processors.errors import ContentError, PermanentError, Reason
from processors.signal import Feature, Window
from schemas.records import MediaKind, TextField
from streams.decode_child import ProcessSettings
from streams.decoding import EXIT_DECODE_SLOT_DIED, DecodePool, PoolClosed
from streams.fork_server import ForkServer, LaunchError
from streams.ports import LocalMedia

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPTED = Scripted()
MEMORY_BYTES = 2 * 1024**3


def make_pool(processes: int = 1, timeout_seconds: float = 20.0, **changes: Any) -> DecodePool:
    return DecodePool(
        processes, timeout_seconds, MEMORY_BYTES, Limits(), preload=("decode_features", "processors.decode.text"), **changes
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[DecodePool]:
    pool = make_pool()
    await pool.start()
    yield pool
    await pool.close()


async def collect(pool: DecodePool, script: str, *features: Feature) -> list[tuple[Feature, Window | PermanentError]]:
    wanted = frozenset(features or (SCRIPTED,))
    async with aclosing(pool(TextField(name="script", value=script), MediaKind.TEXT, wanted)) as found:  # type: ignore[type-var]
        return [item async for item in found]


async def numbers(pool: DecodePool, script: str) -> list[int]:
    return [value_of(window) for _, window in await collect(pool, script)]


def value_of(window: Window | PermanentError) -> int:
    assert isinstance(window, Window), window
    return int(window.tensors["number"].item())


def gone(pid: int) -> bool:
    """Whether a process has ended; nobody may have reaped it yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def until(condition: Any, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  it watches another process
            await asyncio.sleep(0.01)


async def test_windows_come_in_order_for_each_feature(pool: DecodePool) -> None:
    """Windows of a feature come in order, under the feature that was asked for; then it ends."""
    one, two = Scripted("one"), Scripted("two")
    found = await collect(pool, "rows:5", one, two)
    assert [value_of(window) for feature, window in found if feature == one] == [0, 1, 2, 3, 4]
    assert [value_of(window) for feature, window in found if feature == two] == [0, 1, 2, 3, 4]


async def test_a_file_is_opened_by_the_process(pool: DecodePool, tmp_path: Path) -> None:
    """A spooled file is decoded by its path, also a relative one, although the process lives in another folder."""
    path = tmp_path / "spooled"
    path.write_text("rows:2")
    relative = Path(os.path.relpath(path))  # noqa: ASYNC240
    found = [item async for item in pool(LocalMedia(relative, 6, "0" * 64), MediaKind.TEXT, frozenset({SCRIPTED}))]
    assert [value_of(window) for _, window in found] == [0, 1]


async def test_large_windows_arrive_whole(pool: DecodePool) -> None:
    """Tensors of megabytes keep their values, shapes and dtypes; times come along."""
    ((_, window),) = await collect(pool, "large:4300001")
    assert isinstance(window, Window)
    assert np.array_equal(window.tensors["large"], np.arange(4_300_001, dtype=np.uint8)[np.newaxis])
    assert window.tensors["tail"].dtype == np.float64
    assert window.tensors["tail"].tolist() == [1.5]
    assert (window.start_ms, window.end_ms) == (10, 20)


async def test_a_process_is_never_further_ahead_than_allowed(tmp_path: Path) -> None:
    """Of endless windows no more are made than were taken, plus windows_ahead."""
    pool = make_pool(windows_ahead=3)
    await pool.start()
    note = tmp_path / "made"
    async with aclosing(pool(TextField(name="script", value=f"noted:{note}"), MediaKind.TEXT, frozenset({SCRIPTED}))) as found:  # type: ignore[type-var]
        for taken in range(1, 20):
            await anext(found)
            await until(lambda taken=taken: note.read_text() == str(taken + 3))
            if taken % 6 == 0:
                await asyncio.sleep(0.1)
                assert note.read_text() == str(taken + 3)
    await pool.close()


async def test_the_clock_stands_still_while_the_reader_lets_it_wait() -> None:
    """A reader that is slower than the time-out, because of an outage downstream, still gets all windows."""
    pool = make_pool(timeout_seconds=0.4, windows_ahead=2)
    await pool.start()
    taken = []
    async for _, window in pool(TextField(name="script", value="rows:6"), MediaKind.TEXT, frozenset({SCRIPTED})):
        taken.append(value_of(window))
        await asyncio.sleep(0.2)
    assert taken == [0, 1, 2, 3, 4, 5]
    await pool.close()


@pytest.mark.parametrize(
    ("script", "what"), [("crash:exit", "exit code 7"), ("crash:segfault", "SIGSEGV"), ("crash:SIGKILL", "SIGKILL")]
)
async def test_a_crash_fails_its_own_asset_only(pool: DecodePool, script: str, what: str) -> None:
    """A process that dies takes its asset along, with how it died; the next asset is decoded."""
    with pytest.raises(ContentError, match=what) as caught:
        await collect(pool, script)
    assert caught.value.reason is Reason.DECODER_CRASHED
    assert await numbers(pool, "rows:1") == [0]


async def test_a_crash_that_does_not_come_back_is_no_failure(pool: DecodePool, tmp_path: Path) -> None:
    """An asset whose process was killed by chance is decoded again, and no window comes twice."""
    assert await numbers(pool, f"fragile:{tmp_path / 'flag'}") == [0, 1, 2, 3, 4]


async def test_a_hanging_decoder_is_killed() -> None:
    """What takes longer than allowed fails as DECODE_TIMEOUT, in time, and the slot is free again."""
    pool = make_pool(timeout_seconds=0.3)
    await pool.start()
    started = time.monotonic()
    with pytest.raises(ContentError) as caught:
        await collect(pool, "hang:30")
    assert caught.value.reason is Reason.DECODE_TIMEOUT
    assert await numbers(pool, "rows:1") == [0]
    assert time.monotonic() - started < 2.0
    await pool.close()


async def test_a_memory_bomb_meets_its_limit(pool: DecodePool) -> None:
    """More memory than allowed is LIMIT_EXCEEDED for that feature, in a process that goes on."""
    ((_, error),) = await collect(pool, "bomb:100")
    assert isinstance(error, ContentError)
    assert error.reason is Reason.LIMIT_EXCEEDED
    assert await numbers(pool, "rows:1") == [0]


async def test_what_a_feature_raises_arrives(pool: DecodePool) -> None:
    """The text of a bug arrives with its type and place; an error of the tree arrives as it is."""
    ((_, bug),) = await collect(pool, "fail:bug")
    assert isinstance(bug, PermanentError)
    assert bug.reason is Reason.SIGNAL_CODE_FAILED
    assert "KeyError" in bug.detail
    assert "größe" in bug.detail
    assert "decode_features.py" in bug.detail
    ((_, refused),) = await collect(pool, "fail:content")
    assert isinstance(refused, ContentError)
    assert refused.detail == "nothing in it"


async def test_a_decoder_error_ends_all_features(pool: DecodePool, tmp_path: Path) -> None:
    """What the decoder itself raises is raised at the reader."""
    path = tmp_path / "spooled"
    path.write_bytes(b"\xff\x00 is no UTF-8")
    with pytest.raises(ContentError) as caught:
        _ = [item async for item in pool(LocalMedia(path, 15, "0" * 64), MediaKind.TEXT, frozenset({SCRIPTED}))]
    assert caught.value.reason is Reason.UNDECODABLE


async def test_tensors_of_objects_are_refused(pool: DecodePool) -> None:
    """Only bytes travel between the processes; a tensor of Python objects is the feature's mistake."""
    ((_, error),) = await collect(pool, "objects")
    assert isinstance(error, PermanentError)
    assert error.reason is Reason.SIGNAL_CODE_FAILED


@pytest.mark.parametrize("script", ["hang:30", "rows:100000"])
async def test_a_reader_that_leaves_frees_its_slot(pool: DecodePool, script: str) -> None:
    """A cancelled reader costs the slot at most a third of a second, whether the process listens or must be killed."""
    reader = asyncio.create_task(collect(pool, f"rows:1 {script}"))
    await asyncio.sleep(0.1)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    started = time.monotonic()
    assert await numbers(pool, "rows:1") == [0]
    assert time.monotonic() - started < 0.35


async def test_a_process_that_stops_when_told_lives_on(pool: DecodePool) -> None:
    """A reader that closes early does not cost the process."""
    (process,) = await numbers(pool, "pid")
    async with aclosing(pool(TextField(name="script", value="rows:1000"), MediaKind.TEXT, frozenset({SCRIPTED}))) as found:  # type: ignore[type-var]
        await anext(found)
    assert await numbers(pool, "pid") == [process]


async def test_many_assets_over_two_processes() -> None:
    """Two hundred waiting assets are decoded by two processes, each asset's windows in order."""
    pool = make_pool(processes=2)
    await pool.start()
    results = await asyncio.gather(*(numbers(pool, f"rows:{count % 7} pid") for count in range(200)))
    assert [result[:-1] for result in results] == [list(range(count % 7)) for count in range(200)]
    assert len({result[-1] for result in results}) == 2
    await pool.close()


async def test_a_process_sees_nothing_of_the_worker(pool: DecodePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, socket, secret or module of the worker is in a decode process; its folder is empty."""
    monkeypatch.setenv("SIGNALS_S3_SECRET_ACCESS_KEY", "secret")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        os.set_inheritable(listening.fileno(), True)
        other = make_pool()
        await other.start()
        ((_, window),) = await collect(other, "place")
        await other.close()
    assert isinstance(window, Window)
    seen = dict(line.split(" ", 1) for line in window.tensors["text"].tobytes().decode().split("\n"))
    assert len([name for name in seen["files"].split() if name.startswith("socket:")]) == 1
    assert "SIGNALS" not in seen["environment"]
    assert seen["modules"] == ""
    assert seen["cwd"].endswith("(deleted)")
    assert seen["entries"] == "0"


async def test_a_dead_server_is_replaced(pool: DecodePool) -> None:
    """If the server that forks is killed, its processes go with it, and the next asset gets new ones."""
    (process,) = await numbers(pool, "pid")
    server = psutil.Process(process).parent()
    assert server is not None
    server.kill()
    assert await numbers(pool, "rows:2") == [0, 1]
    await until(lambda: gone(process))


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """This process can open so many files and sockets, and no more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [os.dup(0) for _ in range(count + 1)]
    for descriptor in free:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
async def test_a_launch_without_descriptors_is_a_launch_error(count: int) -> None:
    """Whichever descriptor cannot be had, it is a LaunchError, and none leaks; the next launch succeeds."""
    server = ForkServer(ProcessSettings(MEMORY_BYTES, 4, Limits()), ())
    with descriptors_left(0), pytest.raises(LaunchError, match="Too many open files"):  # no server yet
        await server.launch()
    (await server.launch()).close()
    before = open_descriptors()
    with descriptors_left(count), pytest.raises(LaunchError, match="Too many open files"):
        await server.launch()
    assert open_descriptors() == before
    (await server.launch()).close()
    await server.close()


async def test_a_server_that_cannot_start_is_a_launch_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """No interpreter, no processes left: the pool says what the system said, and leaks nothing."""
    before = open_descriptors()
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(LaunchError, match="No such file"):
        await make_pool().start()
    assert open_descriptors() == before


@pytest.mark.parametrize("with_server", [False, True])
async def test_a_slot_outlives_a_lack_of_descriptors(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, with_server: bool
) -> None:
    """A slot that cannot have a new process says so, and tries again until it can: its asset only waits."""
    monkeypatch.setattr("streams.decoding._LAUNCH_AGAIN_SECONDS", 0.05)
    pool = make_pool()
    await pool.start()
    (pid,) = await numbers(pool, "pid")
    os.kill(psutil.Process(pid).ppid() if with_server else pid, signal.SIGKILL)
    await until(lambda: gone(pid))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with caplog.at_level(logging.ERROR):
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            asset = asyncio.create_task(numbers(pool, "rows:2"))
            await asyncio.sleep(0.3)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not asset.done()
    assert caplog.text.count("Too many open files") > 1
    async with asyncio.timeout(10):
        assert await asset == [0, 1]
    await pool.close()


async def test_a_slot_that_dies_is_noticed(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot that ends by a bug ends the worker; one that ends with its pool does not."""
    codes: list[int] = []
    pool = make_pool(processes=2, leave=codes.append)
    await pool.start()

    async def broken(server: ForkServer) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(ForkServer, "launch", broken)
    with pytest.raises(KeyError):
        await collect(pool, "crash:exit")
    await until(lambda: codes)
    await pool.close()
    assert codes == [EXIT_DECODE_SLOT_DIED]
    assert [record.levelname for record in caplog.records if "slot died" in record.message] == ["CRITICAL"]


async def test_closing_ends_processes_and_readers() -> None:
    """After close no process is left; waiting readers and later ones are told, by no cancellation of their own task."""
    pool = make_pool()
    await pool.start()
    (process,) = await numbers(pool, "pid")
    readers = [asyncio.create_task(collect(pool, "hang:30")) for _ in range(3)]
    await asyncio.sleep(0.05)
    await pool.close()
    assert [type(result) for result in await asyncio.gather(*readers, return_exceptions=True)] == [PoolClosed] * 3
    await until(lambda: gone(process))
    with pytest.raises(RuntimeError, match="not running"):
        await collect(pool, "rows:1")


async def test_processes_are_replaced_after_many_assets(pool: DecodePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process serves a bounded number of assets."""
    monkeypatch.setattr("streams.decoding._ASSETS_PER_PROCESS", 3)
    processes = [(await numbers(pool, "pid"))[0] for _ in range(7)]
    assert len(set(processes)) == 3


WORKER = """
import asyncio, sys
sys.path[:] = {path!r}
from processors.decode.limits import Limits
from schemas.records import MediaKind, TextField
from streams.decoding import DecodePool
from decode_features import Scripted

async def main():
    pool = DecodePool(2, 60.0, 2 * 1024**3, Limits(), preload=("decode_features", "processors.decode.text"))
    await pool.start()
    async def decode(script):
        async for _, window in pool(TextField(name="script", value=script), MediaKind.TEXT, frozenset({{Scripted()}})):
            print(int(window.tensors["number"].item()), flush=True)
    await asyncio.gather(decode("pid hang:60"), decode("pid hang:60"))

asyncio.run(main())
"""


async def test_a_worker_whose_slot_died_leaves() -> None:
    """The worker ends with an exit code of its own, although its event loop has work for a minute."""
    program = WORKER.format(path=sys.path)
    program = program.replace("    async def decode", "    pool._server.launch = None\n    async def decode")
    program = program.replace("pid hang:60", "crash:exit", 1)
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(20):
        _, said = await worker.communicate()
    assert worker.returncode == EXIT_DECODE_SLOT_DIED
    assert b"a decode slot died" in said


async def test_no_process_outlives_a_killed_worker() -> None:
    """After kill -9 of a worker, its decode processes and their server are gone, although they were busy."""
    program = WORKER.format(path=sys.path)
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert worker.stdout
    processes = [psutil.Process(int(await worker.stdout.readline())) for _ in range(2)]
    server = processes[0].parent()
    assert server is not None
    assert server.pid != worker.pid
    worker.kill()
    await worker.wait()
    await until(lambda: all(gone(process.pid) for process in [*processes, server]))
