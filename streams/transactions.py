"""One Kafka transaction: outputs, and with them the offsets of what they finish. All of it becomes visible, or nothing.

Belongs to the Kafka thread. A refusal is harmless, because offset books change only after a success: abort, let the consumer's
callbacks run, filter what is still ours, try again. After any other failure the outcome may be unknown, and the group knows the
truth: a new producer of the same transactional id settles the old transaction, then `committed()` tells.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

__all__ = [
    "CALL_SECONDS",
    "Commits",
    "Output",
    "Published",
    "Publisher",
    "no_fail_point",
    "until_answered",
]

log = logging.getLogger(__name__)

Commits = Mapping[tuple[str, int], tuple[int, str]]
"""(topic, partition) → (offset, metadata)."""

CALL_SECONDS = 5.0
"""Longest wait inside one call of librdkafka."""

OURS_NO_LONGER = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)
"""The group has moved on without us: abort, serve the callbacks, filter, try again."""

OPERATOR_MUST_ACT = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._AUTHENTICATION,
    }
)
"""Trying again gives the same answer until somebody changes something outside."""

AWAY = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._WAIT_COORD,
        KafkaError._RESOLVE,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
    }
)
"""The broker is away or busy."""

MOST_FENCINGS = 5
"""A long pause inside a transaction fences us once. Fenced again and again, another process has our transactional id."""

Answer = TypeVar("Answer")


class Published(Enum):
    """What became of a batch. AGAIN: nothing is committed, try again; REFUSED: nothing is, and a record may be why."""

    COMMITTED = "committed"
    AGAIN = "again"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Output:
    """A record to publish. value None is a tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, str | bytes | None]] = field(default_factory=list)


def until_answered(call: Callable[[], Answer]) -> Answer:
    """Repeat a question while the broker is away."""
    while True:
        try:
            return call()
        except KafkaException as failure:
            error = failure.args[0]
            if not error.retriable() and error.code() not in AWAY:
                raise
            log.warning("Kafka does not answer, asking again: %s", error.str())
            time.sleep(0.2)


def no_fail_point(_name: str) -> None:
    """Nothing happens between the steps of a transaction; delivery tests put kills here."""


class Publisher:
    """Publishes batches under one transactional id. fail_point is called with the name of each step that was done."""

    def __init__(
        self, config: Mapping[str, object], consumer: Consumer, fail_point: Callable[[str], None] = no_fail_point
    ) -> None:
        self._config = dict(config)
        self._consumer = consumer
        self._fail_point = fail_point
        self._fencings = 0
        self._producer = self._new_producer()

    def publish(self, outputs: Iterable[Output], commits: Commits) -> Published:
        """Everything or nothing. Raises KafkaException where only an operator can help (topic missing or forbidden, id taken)."""
        try:
            self._transaction(outputs, commits)
            self._fencings = 0
            return Published.COMMITTED
        except KafkaException as failure:
            error = failure.args[0]
            log.warning("transaction failed: %s", error.str())
            self._fencings += error.code() == KafkaError._FENCED
            if error.code() in OPERATOR_MUST_ACT or self._fencings > MOST_FENCINGS:
                raise
            if error.code() in OURS_NO_LONGER and error.txn_requires_abort() and self._aborted():
                return Published.AGAIN
        self._producer = self._new_producer()
        if self._was_committed(commits):
            return Published.COMMITTED
        return Published.AGAIN if error.code() in AWAY | {KafkaError._FENCED} else Published.REFUSED

    def _transaction(self, outputs: Iterable[Output], commits: Commits) -> None:
        self._producer.begin_transaction()
        self._fail_point("begun")
        for output in outputs:
            self._produce(output)
        self._fail_point("produced")
        offsets = [TopicPartition(*tp, offset, metadata=metadata) for tp, (offset, metadata) in commits.items()]
        self._producer.send_offsets_to_transaction(offsets, self._consumer.consumer_group_metadata(), CALL_SECONDS)
        self._fail_point("sent")
        self._producer.commit_transaction(CALL_SECONDS)
        self._fail_point("committed")

    def _produce(self, output: Output) -> None:
        while True:
            try:
                self._producer.produce(output.topic, output.value, output.key, headers=output.headers)
                return
            except BufferError:  # librdkafka's queue is full: let it send
                self._producer.poll(0.05)

    def _aborted(self) -> bool:
        try:
            self._producer.abort_transaction(CALL_SECONDS)
            return True
        except KafkaException as failure:
            log.warning("abort failed: %s", failure.args[0].str())
            return False

    def _was_committed(self, commits: Commits) -> bool:
        asked = until_answered(lambda: self._consumer.committed([TopicPartition(*tp) for tp in commits], timeout=CALL_SECONDS))
        return all(not tp.error and commits[tp.topic, tp.partition] == (tp.offset, tp.metadata or "") for tp in asked)

    def _new_producer(self) -> Producer:
        producer = Producer(self._config)
        until_answered(lambda: producer.init_transactions(CALL_SECONDS))
        return producer
