"""From files to signals: real Kafka, registry, Triton, models and decoders; the sample media with their expected answers."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from running import Gathered, gather, running_worker

from cli.demo import Progress, event_of_sample
from embedded import agreement, sample_media
from processors.catalogue import SIGNALS
from schemas.records import Status
from streams.publishing import EventWriter
from streams.settings import Settings
from streams.topics import topics_of

BROKEN = b"\x00\x00\x00\x00\x07 this is no event"


@pytest.fixture(scope="module")
def events() -> dict[str, Any]:
    return {event.content_id: event for event in map(event_of_sample, sample_media.load())}


@pytest.fixture(scope="module")
def gathered(settings: Settings, events: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    """The samples and one undecodable event between them, through one worker."""
    writer = EventWriter(settings)
    broken = Producer({"bootstrap.servers": settings.kafka_brokers})
    for number, event in enumerate(events.values()):
        writer.write(event)
        if number == 3:
            broken.produce(settings.input_topic, BROKEN, b"broken", headers=[("trace", b"\xff\x00")])
            broken.flush()
    writer.flush()
    with running_worker(settings, tmp_path_factory.mktemp("worker")) as worker:
        return gather(settings, {*events, "broken"}, 110, worker=worker)


@pytest.mark.timeout(300)
def test_the_answers_are_the_expected_ones(gathered: Gathered, events: dict[str, Any]) -> None:
    """Speech where it is spoken, espresso in the cup, the face boxed, cuts at their frames, languages right."""
    progress = Progress(events)
    progress.signals = {(record.content_id, record.signal): record for record in gathered.signals}
    progress.ledger = {record.content_id: record for record in gathered.ledger if record.content_id in events}
    assert agreement.disagreements(sample_media.expectations(), progress.findings()) == []


def test_every_event_and_signal_has_one_outcome(gathered: Gathered, events: dict[str, Any]) -> None:
    """One ledger record an event, one outcome a planned signal, none FAILED; a record for each OK and none for others."""
    assert sorted(record.content_id for record in gathered.ledger) == sorted([*events, "broken"])
    published = {(record.content_id, record.signal) for record in gathered.signals}
    assert len(published) == len(gathered.signals)
    for record in gathered.ledger:
        assert record.complete
        assert sorted(o.signal for o in record.outcomes) == sorted(s.name for s in SIGNALS) == sorted(record.planned)
        for outcome in record.outcomes:
            assert (outcome.status is Status.FAILED) == (record.content_id == "broken")
            assert ((record.content_id, outcome.signal) in published) == (outcome.status in (Status.OK, Status.DEGRADED))


def test_an_undecodable_event_is_a_dead_letter_with_its_bytes(settings: Settings, gathered: Gathered) -> None:
    """dlq.<group> has the original key, value and headers, what was wrong, and where it stood."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_brokers, "group.id": "dlq-reader", "auto.offset.reset": "earliest"})
    consumer.subscribe([f"dlq.{settings.group}"])
    message = next(message for _ in range(100) if (message := consumer.poll(0.5)))
    consumer.close()
    headers = dict(message.headers())
    assert (message.key(), message.value(), headers["trace"]) == (b"broken", BROKEN, b"\xff\x00")
    assert headers["__dlq.errors.topic"] == settings.input_topic.encode()
    assert headers["x-signal-error-class"] == b"unreadable_event"
    assert b"id 7" in headers["__dlq.errors.message"]


def test_a_plain_confluent_consumer_reads_every_topic(settings: Settings, gathered: Gathered) -> None:
    """confluent-kafka's own AvroDeserializer decodes each record of the input, each signal topic and the ledger."""
    strategy = {"subject.name.strategy": topic_subject_name_strategy}
    client = SchemaRegistryClient({"url": settings.registry_url})
    deserialize = AvroDeserializer(client, conf=strategy)
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_brokers,
            "group.id": "plain-reader",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    topics = [topic.name for topic in topics_of(settings, SIGNALS) if topic.schema]
    consumer.subscribe(topics)
    read: dict[str, int] = dict.fromkeys(topics, 0)
    empty = 0
    while empty < 6:
        message = consumer.poll(0.5)
        if message is None:
            empty += 1
            continue
        if message.value() != BROKEN:
            record = deserialize(message.value(), SerializationContext(message.topic(), MessageField.VALUE))
            assert record["content_id"] == message.key().decode()
            read[message.topic()] += 1
    consumer.close()
    client.close()
    assert min(read.values()) > 0, read
    assert read["signal-outcomes.v1"] == len(gathered.ledger)


def test_signals_carry_cloudevents_headers(settings: Settings, gathered: Gathered) -> None:
    """The six attributes of CloudEvents 1.0 in binary mode stand in the headers; ce_id is the signal's id."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_brokers, "group.id": "ce-reader", "auto.offset.reset": "earliest"})
    consumer.subscribe(["signal.text.language.v1"])
    message = next(message for _ in range(100) if (message := consumer.poll(0.5)))
    consumer.close()
    headers = dict(message.headers())
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] == b"signal.text.language.v1"
    assert headers["ce_id"].decode() in {record.signal_id for record in gathered.signals}
    assert {"ce_source", "ce_time", "content-type"} <= headers.keys()


def test_nothing_stays_in_the_spool(settings: Settings, gathered: Gathered) -> None:
    """Fetched files are gone when the worker has ended."""
    assert list(Path(settings.spool_dir).glob("*signals*spool*")) == []
