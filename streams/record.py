"""A Kafka record as it was read."""

from dataclasses import dataclass
from typing import cast

from confluent_kafka import Message

__all__ = ["Headers", "Record"]

Headers = list[tuple[str, str | bytes | None]]


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A Kafka record as it was read, and the assignment (epoch) under which it was."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    topic: str
    partition: int
    offset: int
    epoch: int

    @classmethod
    def of(cls, message: Message, epoch: int = 0) -> "Record":
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None and partition is not None and offset is not None  # a message without error has all three
        return cls(message.key(), message.value(), headers_of(message), topic, partition, offset, epoch)

    @property
    def tp(self) -> tuple[str, int]:
        return self.topic, self.partition

    @property
    def lane(self) -> object:
        """Records of one lane go one after the other; those without a key stand in none but their own."""
        return (self.topic, self.key) if self.key is not None else (self.topic, self.partition, self.offset)


def headers_of(message: Message) -> Headers:
    """The headers; a single mark in their place where a name is not UTF-8, which confluent-kafka cannot read."""
    try:
        return cast(Headers, message.headers() or [])
    except (SystemError, UnicodeError):
        return [("x-signal-headers-unreadable", b"true")]
