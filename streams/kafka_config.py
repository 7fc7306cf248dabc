"""librdkafka's configuration for each role, from the settings."""

import os
import time
from typing import Any

from streams.settings import Settings

__all__ = ["client", "consumer", "follower", "transactional_producer"]


MOST_MESSAGE_BYTES = 16 * 1024**2
"""Above any dead letter; what a topic takes is for the broker to say (`max.message.bytes`)."""


def client(settings: Settings) -> dict[str, Any]:
    """How to reach the brokers; what every client shares."""
    config: dict[str, Any] = {"bootstrap.servers": settings.kafka_brokers, "security.protocol": settings.kafka_security_protocol}
    if settings.kafka_ssl_ca_location:
        config["ssl.ca.location"] = settings.kafka_ssl_ca_location
    if settings.kafka_sasl_mechanism:
        config |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": settings.kafka_sasl_username,
            "sasl.password": settings.kafka_sasl_password.get_secret_value(),
        }
    return config


def consumer(settings: Settings) -> dict[str, Any]:
    """A member of the consumer group (KIP-848). read_committed also makes committed() wait for the former owner's transaction."""
    return client(settings) | {
        "group.id": settings.group,
        "group.protocol": "consumer",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 50,
    }


def transactional_producer(settings: Settings) -> dict[str, Any]:
    """The one producer of a worker."""
    slot = settings.transactional_id or f"{settings.group}-{os.uname().nodename}-{os.getpid()}-{time.time_ns()}"
    return client(settings) | {
        "transactional.id": slot,
        "transaction.timeout.ms": settings.transaction_timeout_ms,
        "linger.ms": 0,
        "batch.num.messages": 10_000,
        "compression.type": "zstd",
        "message.max.bytes": MOST_MESSAGE_BYTES,
    }


def follower(settings: Settings, name: str) -> dict[str, Any]:
    """One who reads without a part in any group, committed records only. assign() it; it commits nothing."""
    return client(settings) | {
        "group.id": f"{name}-{os.getpid()}-{time.time_ns()}",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 50,
    }
