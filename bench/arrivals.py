"""When a subscriber who reads committed records only sees them, and how many a second that are."""

import time
from collections.abc import Callable, Sequence
from statistics import linear_regression
from subprocess import Popen

from confluent_kafka import Consumer, TopicPartition

from streams import kafka_config
from streams.settings import Settings

__all__ = ["Arrivals", "rate", "steady"]

CALL_SECONDS = 10.0


class Arrivals:
    """Follows a topic from where it ends now."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._consumer = Consumer(kafka_config.follower(settings, "bench"))
        partitions = [
            TopicPartition(topic, number) for number in self._consumer.list_topics(topic, CALL_SECONDS).topics[topic].partitions
        ]
        for partition in partitions:
            partition.offset = self._consumer.get_watermark_offsets(partition, CALL_SECONDS)[1]
        self._consumer.assign(partitions)

    def times(self, records: int, timeout_seconds: float, seen: Callable[[int], None], source: "Popen[bytes]") -> list[float]:
        """Monotonic seconds at which each of so many records came, in order; then closes. seen: told now and then how
        many; source: who publishes them.

        Raises RuntimeError for a copy (a key that was there before), TimeoutError if they do not come in time or their source
        failed.
        """
        times: list[float] = []
        keys: set[bytes] = set()
        deadline = time.monotonic() + timeout_seconds
        try:
            while len(times) < records:
                message = self._consumer.poll(0.25)
                now = time.monotonic()
                if now > deadline or source.poll():
                    code = f", and their source ended with code {source.returncode}" if source.returncode else ""
                    raise TimeoutError(f"{len(times)} of {records} records came within {timeout_seconds:.0f} s{code}")
                if message is None or message.error():
                    continue
                times.append(now)
                keys.add(message.key() or b"")
                if len(times) % 100 == 0:
                    seen(len(times))
        finally:
            self._consumer.close()
        if len(keys) != records:
            raise RuntimeError(f"{records} records came with {len(keys)} different keys: some are copies")
        return times


def steady(times: Sequence[float]) -> Sequence[float]:
    """Those from a tenth to nine tenths of all: without the start, and without the last ones' thinning out."""
    return times[len(times) // 10 : len(times) * 9 // 10 + 1]


def rate(times: Sequence[float]) -> float:
    """Per second: the slope of the straight line through (time, number). They come in bursts, so two ends would not tell."""
    return linear_regression(times, range(len(times))).slope
