# ruff: noqa: ASYNC240
import asyncio
import errno
import hashlib
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from processors.errors import InfrastructureError, Reason
from streams.clients.spool import Spool

PART = bytes(range(256)) * 4096


async def test_a_file_holds_what_was_written_and_is_gone_at_the_end(tmp_path: Path) -> None:
    """Size, hash and bytes are those of the parts; only its owner may read it; nothing is left."""
    spool = Spool(tmp_path)
    async with spool.file() as file:
        for part in (b"first", PART, b"", PART, b"last"):
            await file.write(part)
        await file.flush()
        whole = b"first" + PART + PART + b"last"
        assert file.path.read_bytes() == whole
        assert (file.size_bytes, file.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
        assert file.path.stat().st_mode & 0o777 == 0o600
        assert file.path.parent.stat().st_mode & 0o777 == 0o700
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    await spool.close()
    assert list(tmp_path.iterdir()) == []


async def test_an_empty_file_is_there(tmp_path: Path) -> None:
    """No bytes make a file of size nought."""
    spool = Spool(tmp_path)
    async with spool.file() as file:
        await file.flush()
        assert file.path.stat().st_size == 0
    await spool.close()


async def test_files_at_once_share_one_folder(tmp_path: Path) -> None:
    """Many files open at the same moment get different names in one folder."""
    spool = Spool(tmp_path)
    paths = set()

    async def use() -> None:
        async with spool.file() as file:
            await file.write(b"x")
            await file.flush()
            paths.add(file.path)
            await asyncio.sleep(0.02)

    await asyncio.gather(*(use() for _ in range(20)))
    assert len(paths) == 20
    assert len({path.parent for path in paths}) == 1
    await spool.close()


async def test_leavings_of_a_killed_process_are_swept(tmp_path: Path) -> None:
    """What a process killed with -9 left behind is removed by the next that starts; the folder of one that lives is not."""
    code = (
        "import asyncio, sys, pathlib\n"
        "from streams.clients.spool import Spool\n"
        "async def main():\n"
        "    async with Spool(pathlib.Path(sys.argv[1])).file() as file:\n"
        "        await file.flush(); print(file.path, flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[3]
    victim = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(root)}
    )
    assert victim.stdout
    left = Path(victim.stdout.readline().strip())
    assert left.exists()
    alive = Spool(tmp_path)
    async with alive.file():
        assert left.exists()
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    victim.stdout.close()
    assert left.exists()
    async with alive.file() as file:
        await file.flush()
        successor = Spool(tmp_path)
        async with successor.file():
            assert not left.parent.exists()
            assert file.path.exists()
        await successor.close()
    await alive.close()


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing spool folder is an infrastructure error that names the setting."""
    spool = Spool(tmp_path / "missing")
    with pytest.raises(InfrastructureError, match="SIGNALS_SPOOL_DIR") as raised:
        async with spool.file():
            pass
    assert raised.value.reason is Reason.STORE_UNAVAILABLE
    await spool.close()


async def test_a_full_disk_is_an_outage(tmp_path: Path) -> None:
    """No space left: wait until there is some, and say where."""
    spool = Spool(tmp_path)

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InfrastructureError, match="is full"):
        await spool.in_thread(full)
    await spool.close()


async def test_a_file_that_cannot_be_removed_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was done with a file counts, although it cannot be removed afterwards: a folder in its place is no file."""
    spool = Spool(tmp_path)
    with caplog.at_level(logging.WARNING):
        async with spool.file() as file:
            file.path.mkdir()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(file.path) in caplog.text
    await spool.close()
    assert list(tmp_path.iterdir()) == []


async def test_cancelling_waits_for_the_disk(tmp_path: Path) -> None:
    """A cancelled write is over when the cancellation arrives, and its failure is not left unheard."""
    spool = Spool(tmp_path)
    done = []

    def slow() -> None:
        time.sleep(0.05)
        done.append(True)
        raise OSError(errno.EIO, "late")

    task = asyncio.create_task(spool.in_thread(slow))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done
    await spool.close()
