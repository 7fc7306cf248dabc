"""Folders that no root opens."""

from pathlib import Path

import pytest

from processors.errors import ContentError, Reason
from schemas.records import Asset, MediaKind
from streams.clients.content_store import ContentStore
from streams.settings import Settings


@pytest.mark.parametrize("path", ["/proc/self/environ", "/proc/self/mem", "/dev/zero", "/sys/kernel/notes"])
async def test_the_system_is_no_media(tmp_path: Path, path: str) -> None:
    """Even with the whole disk as root, the kernel's own files are refused, not read and not waited for."""
    store = ContentStore(Settings(file_roots="/", spool_dir=tmp_path))
    try:
        with pytest.raises(ContentError) as refusal:
            async with store(Asset(asset_id="a", kind=MediaKind.TEXT, uri=f"file://{path}")):
                pass
        assert refusal.value.reason is Reason.ADDRESS_REFUSED
    finally:
        await store.close()
