"""The producer side: writes content-published events as an upload system would."""

from collections.abc import Callable

from confluent_kafka import KafkaException, Producer

from processors.errors import InfrastructureError, Reason
from schemas import cloudevents, subjects, wire
from schemas.records import ContentPublished
from streams import kafka_config
from streams.clients.schema_registry import SchemaRegistry
from streams.settings import Settings

__all__ = ["EventWriter"]

ANSWER_SECONDS = 4.0
FLUSH_SECONDS = 30.0


class EventWriter:
    """Publishes events, idempotently. Nothing is certain before `flush` has returned."""

    def __init__(self, settings: Settings) -> None:
        """Raises InfrastructureError if no broker answers, or if the input topic or its schema is missing."""
        self._topic = settings.input_topic
        self._producer = Producer(
            kafka_config.client(settings)
            | {"enable.idempotence": True, "linger.ms": 5, "compression.type": "zstd", "log_level": 0}
        )
        self._brokers = settings.kafka_brokers
        self._failures: list[str] = []
        self._check_topic()
        self._schema = subjects.latest("content-published.v1")
        self._schema_id = SchemaRegistry(settings.registry_url).schema_id(settings.input_topic, self._schema)

    def _check_topic(self) -> None:
        try:
            topics = self._producer.list_topics(timeout=ANSWER_SECONDS).topics  # of all: asking for one could create it
        except KafkaException as failure:
            detail = (
                f"No Kafka broker answers at {self._brokers} ({failure.args[0].str()}). "
                "Start one (`signals up`) or set SIGNALS_KAFKA_BROKERS."
            )
            raise InfrastructureError(Reason.BROKER_UNAVAILABLE, detail) from None
        if self._topic not in topics:
            detail = f"Kafka at {self._brokers} lacks the topic {self._topic}; run `signals topics apply`."
            raise InfrastructureError(Reason.BROKER_UNAVAILABLE, detail)

    def write(self, event: ContentPublished, written: Callable[[int, int], None] = lambda partition, offset: None) -> None:
        """Sends one event. written(partition, offset) is called once the brokers have it."""

        def delivered(error: object, message: object) -> None:
            if error is not None:
                self._failures.append(f"{event.content_id}: {error}")
            else:
                written(message.partition(), message.offset())  # type: ignore[attr-defined]

        headers: list[tuple[str, str | bytes | None]] = [
            *cloudevents.headers(event.event_id, f"/upload/{event.tenant}", self._topic, event.published_at)
        ]
        value = wire.encode(event, self._schema, self._schema_id)
        while True:
            try:
                self._producer.produce(self._topic, value, event.content_id.encode(), headers=headers, on_delivery=delivered)
                break
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as failure:
                self._failures.append(f"{event.content_id}: {failure.args[0].str()}")
                break
        self._producer.poll(0)

    def flush(self) -> None:
        """Waits until all is on the brokers. Raises InfrastructureError that names what is not."""
        waiting = self._producer.flush(FLUSH_SECONDS)
        if waiting or self._failures:
            first = self._failures[0] if self._failures else f"no answer within {FLUSH_SECONDS:.0f} s"
            count = waiting + len(self._failures)
            detail = f"{count} events were not accepted by Kafka at {self._brokers}: {first}. Is it up? See `signals doctor`."
            raise InfrastructureError(Reason.BROKER_UNAVAILABLE, detail)
