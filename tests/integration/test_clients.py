"""The clients against real servers on loopback: S3 (moto), the schema registry, Triton."""

import hashlib
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from embedded.registry import Registry
from embedded.triton import Triton as EmbeddedTriton
from processors.errors import ContentError, ContractError, HealableError, InfrastructureError, ModelError, Reason, SignalsError
from processors.signal import TensorSpec
from processors.signals.models import IMAGE_TAGS
from schemas.records import Asset, MediaKind
from streams.clients.content_store import ContentStore
from streams.clients.schema_registry import SchemaRegistry, SubjectState
from streams.clients.triton import Triton
from streams.settings import Settings

BUCKET = "published-media"
BIG = bytes(range(256)) * 40_000  # 10,240,000 bytes: three parts
ODD_KEYS = ["a b/ü+c.mp3", "pct%20x.mp3", "hash#q?x.mp3", "star*[b]{c}.mp3", "~t&b=c.mp3", "deep/er/still.mp3"]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{port}"
    put(f"{endpoint}/{BUCKET}", b"")
    put(f"{endpoint}/{BUCKET}/big.bin", BIG)
    put(f"{endpoint}/{BUCKET}/empty.bin", b"")
    for key in ODD_KEYS:
        put(f"{endpoint}/{BUCKET}/{quote(key)}", key.encode())
    yield endpoint
    server.stop()


def put(url: str, body: bytes) -> None:
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request",
        "Content-Type": "application/octet-stream",
    }
    with urllib.request.urlopen(urllib.request.Request(url, data=body, method="PUT", headers=headers)):
        pass


@pytest.fixture
async def store(s3: str, tmp_path: Path) -> AsyncIterator[ContentStore]:
    settings = Settings(
        spool_dir=tmp_path,
        s3_endpoint=s3,
        s3_access_key_id="a",
        s3_secret_access_key="b",
        max_asset_bytes=len(BIG),
        fetch_idle_seconds=10,
    )
    store = ContentStore(settings)
    yield store
    await store.close()
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


def asset(key: str, bucket: str = BUCKET, **more: Any) -> Asset:
    return Asset(asset_id="a", kind=MediaKind.AUDIO, uri=f"s3://{bucket}/{key}", **more)


async def failure(store: ContentStore, wanted: Asset) -> SignalsError:
    with pytest.raises(SignalsError) as raised:
        async with store(wanted):
            pass
    return raised.value


async def test_an_object_of_many_parts_arrives_whole(store: ContentStore) -> None:
    """Ten megabytes come in parts, counted and hashed on the way."""
    sha256 = hashlib.sha256(BIG).hexdigest()
    async with store(asset("big.bin", sha256=sha256, size_bytes=len(BIG))) as media:
        assert media.path.read_bytes() == BIG
        assert (media.size_bytes, media.sha256) == (len(BIG), sha256)


async def test_an_empty_object_arrives(store: ContentStore) -> None:
    """No bytes are an object as well; what they are worth is the decoder's to say."""
    async with store(asset("empty.bin")) as media:
        assert media.size_bytes == 0


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_keys_are_taken_as_they_stand(store: ContentStore, key: str) -> None:
    """Blanks, percents, question marks and the like are part of the key."""
    async with store(asset(key)) as media:
        assert media.path.read_bytes() == key.encode()


async def test_what_is_not_there_may_come(store: ContentStore) -> None:
    """A missing key and a missing bucket may heal."""
    for missing in (asset("later.bin"), asset("big.bin", bucket="no-such-bucket")):
        error = await failure(store, missing)
        assert isinstance(error, HealableError)
        assert error.reason is Reason.NOT_FOUND


async def test_what_differs_from_the_event_is_refused(store: ContentStore) -> None:
    """Size, checksum and the largest size are compared, with both values in the message."""
    error = await failure(store, asset("big.bin", size_bytes=5))
    assert isinstance(error, ContentError)
    assert error.reason is Reason.SIZE_MISMATCH
    assert f"has {len(BIG)} bytes or more; the event says 5" in error.detail
    assert (await failure(store, asset("big.bin", sha256="0" * 64))).reason is Reason.CHECKSUM_MISMATCH


async def test_too_large_is_refused_before_the_body(s3: str, tmp_path: Path) -> None:
    """The store's own size is enough to say no."""
    store = ContentStore(
        Settings(spool_dir=tmp_path, s3_endpoint=s3, s3_access_key_id="a", s3_secret_access_key="b", max_asset_bytes=1000)
    )
    assert (await failure(store, asset("big.bin"))).reason is Reason.TOO_LARGE
    await store.close()


# ---- the schema registry ----

SCHEMA: dict[str, Any] = {"type": "record", "name": "Clip", "fields": [{"name": "a", "type": "int"}]}
WIDER: dict[str, Any] = SCHEMA | {"fields": [*SCHEMA["fields"], {"name": "b", "type": ["null", "string"], "default": None}]}
NARROWER: dict[str, Any] = SCHEMA | {"fields": [*WIDER["fields"], {"name": "c", "type": "string"}]}


def test_a_topic_from_missing_to_registered(registry: Registry) -> None:
    """A new subject, a compatible version and a refused one, on a registry whose own level is NONE."""
    topic = "clients.apply.v1"
    schemas = SchemaRegistry(registry.url)
    assert schemas.check(topic, SCHEMA) is SubjectState.MISSING
    with pytest.raises(InfrastructureError, match="signals topics apply"):
        schemas.schema_id(topic, SCHEMA)
    first = schemas.apply(topic, SCHEMA)
    assert schemas.apply(topic, SCHEMA) == first
    assert SchemaRegistry(registry.url).schema_id(topic, SCHEMA) == first
    assert SchemaRegistry(registry.url).check(topic, SCHEMA) is SubjectState.REGISTERED
    assert schemas.check(topic, WIDER) is SubjectState.OTHER_VERSIONS_ONLY
    second = schemas.apply(topic, WIDER)
    assert second != first
    with pytest.raises(ContractError) as raised:
        schemas.apply(topic, NARROWER)
    assert raised.value.reason is Reason.CONTRACT_BROKEN
    assert "409" in raised.value.detail
    assert SchemaRegistry(registry.url).writer_schema(second)["name"] == "Clip"


async def test_an_unknown_schema_id(registry: Registry) -> None:
    """The registry says 404: no event with this id can be read."""
    with pytest.raises(ContractError) as raised:
        await SchemaRegistry(registry.url).writer_schema_async(987_654)
    assert raised.value.reason is Reason.UNREADABLE_EVENT


# ---- Triton ----


def pictures(count: int) -> dict[str, np.ndarray[Any, Any]]:
    return {"image": np.random.default_rng(1).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)}


async def test_a_real_model_answers_more_rows_than_one_request_takes(triton: EmbeddedTriton) -> None:
    """Rows split over requests come back as if they had been asked one by one."""
    client = Triton([triton.grpc_url], requests_per_model=4, timeout_seconds=60)
    await client.ready()
    few = replace(IMAGE_TAGS, max_batch_rows=2)
    together = await client(few, pictures(3))
    assert together["probabilities"].shape == (3, 1000)
    alone = await client(IMAGE_TAGS, {"image": pictures(3)["image"][2:]})
    np.testing.assert_allclose(together["embedding"][2:], alone["embedding"], atol=1e-4)
    await client.close()


async def test_what_a_real_triton_refuses(triton: EmbeddedTriton) -> None:
    """Unknown model or version, too many rows, unknown names and another dtype are configuration: never an event's fault."""
    client = Triton([triton.grpc_url], requests_per_model=4, timeout_seconds=60)
    wrong = [
        replace(IMAGE_TAGS, name="nope"),
        replace(IMAGE_TAGS, version="77"),
        replace(IMAGE_TAGS, max_batch_rows=1000),
        replace(IMAGE_TAGS, outputs=(TensorSpec("nope", "float32", (1,)),)),
        replace(IMAGE_TAGS, inputs=(*IMAGE_TAGS.inputs, TensorSpec("nope", "uint8", (224, 224, 3)))),
    ]
    tensors = pictures(40) | {"nope": pictures(40)["image"]}
    for model in wrong:
        with pytest.raises(InfrastructureError, match="signals models check") as raised:
            await client(model, tensors)
        assert raised.value.reason is Reason.MODEL_UNAVAILABLE
    floats = replace(IMAGE_TAGS, inputs=(TensorSpec("image", "float32", (224, 224, 3)),))
    with pytest.raises(InfrastructureError, match="signals models check"):
        await client(floats, {"image": np.zeros((1, 224, 224, 3), np.float32)})
    smaller = replace(IMAGE_TAGS, inputs=(TensorSpec("image", "uint8", (None, 224, 3)),))
    with pytest.raises(ModelError) as refused:
        await client(smaller, {"image": np.zeros((1, 200, 224, 3), np.uint8)})
    assert refused.value.reason is Reason.MODEL_REJECTED_INPUT
    await client.close()
