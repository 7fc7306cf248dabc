"""What an event has to keep that its schema cannot say."""

from dataclasses import replace

import pytest
from fakes import text_event

from processors.errors import ContractError, Reason
from schemas.records import Asset, ContentPublished, MediaKind, TextField
from streams.events import check_contract

SOUND = Asset(asset_id="sound", kind=MediaKind.AUDIO, uri="s3://bucket/a.mp3")
EVENT = text_event("abc", assets=(SOUND,))


def broken(event: ContentPublished, key: bytes | None = b"c1") -> str:
    """The sentence with which the event is refused."""
    with pytest.raises(ContractError) as caught:
        check_contract(event, key)
    assert caught.value.reason is Reason.CONTRACT_BROKEN
    assert not caught.value.retriable
    return caught.value.detail


def test_a_good_event_passes() -> None:
    """Its key is the content id, its names are its own, its kinds are known."""
    check_contract(EVENT, b"c1")


def test_an_event_without_media_passes() -> None:
    """Nothing to understand is no breach: each signal is skipped, with the reason."""
    check_contract(text_event(), b"c1")


@pytest.mark.parametrize("key", [None, b"", b"C1", b"c1 ", b"c2", b"\xff"])
def test_the_key_must_be_the_content_id(key: bytes | None) -> None:
    """By it events of one content keep their order, and records of it replace one another."""
    sentence = broken(EVENT, key)
    assert repr(key) in sentence
    assert "'c1'" in sentence


def test_the_key_is_the_content_id_in_utf8() -> None:
    """Names in any script."""
    event = replace(EVENT, content_id="größe-東京")
    check_contract(event, "größe-東京".encode())
    assert "größe" in broken(event, "größe-東京".encode("utf-16"))


@pytest.mark.parametrize(
    "event",
    [
        replace(EVENT, assets=(SOUND, replace(SOUND, uri="s3://bucket/b.mp3"))),
        replace(EVENT, assets=(SOUND,), texts=(TextField(name="sound", value="abc"),)),
        replace(EVENT, assets=(), texts=(TextField(name="sound", value="abc"), TextField(name="sound", value="def"))),
    ],
    ids=["two assets", "asset and text", "two texts"],
)
def test_names_must_be_unique(event: ContentPublished) -> None:
    """Entries are told apart by them, and texts share the room with assets."""
    assert broken(event) == "'sound' names 2 assets or texts; each needs a name of its own"


def test_the_kind_must_be_known() -> None:
    """A kind that this worker does not know is refused by the asset's name, with the kinds that there are."""
    sentence = broken(replace(EVENT, assets=(SOUND, Asset(asset_id="smell", kind=MediaKind.UNKNOWN, uri="s3://bucket/x"))))
    assert "'smell'" in sentence
    assert "AUDIO, IMAGE, VIDEO, TEXT" in sentence
