"""Identifiers that a re-run repeats: UUIDv5 over what makes a thing the same thing."""

import uuid

__all__ = ["run_id", "signal_id"]

_NAMESPACE = uuid.UUID("5b0d7a52-8c1e-5d0a-9f5e-2f8f4f2b7c11")


def _uuid5(*parts: str | int) -> str:
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(str(part) for part in parts)))


def signal_id(content_id: str, content_version: int, signal: str, model_version: str, config_hash: str) -> str:
    """The same understanding of the same content has the same id, however often it is computed."""
    return _uuid5("signal", content_id, content_version, signal, model_version, config_hash)


def run_id(cluster: str, group: str, topic: str, partition: int, offset: int) -> str:
    """The first run over an event, by any worker of a group. A second record with the same signal_id and run_id is a copy."""
    return _uuid5("run", cluster, group, topic, partition, offset)
