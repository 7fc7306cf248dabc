"""The real servers. Triton is one for the whole run; Kafka and the registry are new for each test file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from running import ROOT

from embedded.cache import cache_folder
from embedded.kafka import Kafka
from embedded.model_repository import build
from embedded.registry import Registry
from embedded.triton import Triton
from processors.catalogue import SIGNALS
from streams.provisioning import apply
from streams.settings import Settings


@pytest.fixture(scope="session")
def models() -> Path:
    """The embedded profile's model repository, built once into the cache."""
    return build(cache_folder() / "models" / "embedded", "embedded", None, lambda name, done, total: None)


@pytest.fixture(scope="session")
def triton(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    server = Triton(models, tmp_path_factory.mktemp("triton"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    server = Kafka(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    server = Registry(tmp_path_factory.mktemp("registry"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def settings(kafka: Kafka, registry: Registry, triton: Triton, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A group with all topics and schemas; files may be read from the repository and from pytest's folders."""
    settings = Settings(
        kafka_brokers=kafka.brokers,
        registry_url=registry.url,
        triton_urls=triton.grpc_url,
        file_roots=f"{ROOT}:{tmp_path_factory.getbasetemp()}",
    )
    apply(settings, SIGNALS, partitions=8, replication=1)
    return settings
