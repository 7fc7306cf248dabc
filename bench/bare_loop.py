"""The ceiling: the same Avro work and the same records as a worker, in a bare confluent-kafka loop.

consume(500) → decode the event → encode a signal and a ledger record → one transaction with the offsets. In order, one batch after the
other, nothing asynchronous, no out-of-order book, no lanes, no model.
"""

import time

from confluent_kafka import Consumer, Producer, TopicPartition

from processors.conclusion import Conclusion
from processors.signal import Signal
from schemas import subjects, wire
from schemas.records import Entry, Findings, Measure, Status
from streams import kafka_config
from streams.kafka_source import Record
from streams.publication import Publication
from streams.settings import Settings
from streams.worker import registered_schemas

__all__ = ["run"]

BATCH = 500


def run(settings: Settings, signal: Signal, events: int) -> float:
    """Events per second over `events` events that wait on the input topic."""
    consumer = Consumer(kafka_config.consumer(settings))
    producer = Producer(kafka_config.transactional_producer(settings))
    producer.init_transactions(10)
    schema = subjects.latest("content-published.v1")
    publication = Publication(
        group=settings.group,
        worker="bare-loop",
        version="0",
        ledger_topic=settings.ledger_topic,
        schemas=registered_schemas(settings, [signal]),
        most_bytes=settings.max_record_bytes,
    )
    consumer.subscribe([settings.input_topic])
    done, started = 0, 0.0
    while done < events:
        messages = [message for message in consumer.consume(BATCH, 0.1) if not message.error()]
        if not messages:
            continue
        started = started or time.monotonic()
        producer.begin_transaction()
        ends: dict[int, int] = {}
        for record in map(Record.of, messages):
            event = wire.content_published(wire.decode(record.value or b"", lambda _: schema, schema))
            findings = Findings(measures=(Measure(name="waited", value=0.0, unit="ms"),))
            conclusion = Conclusion(signal=signal, status=Status.OK, entries=(Entry(asset_id="text", findings=findings),))
            for output in publication.of(record, "", event, [conclusion]):
                producer.produce(output.topic, output.value, output.key, headers=output.headers)
            ends[record.partition] = record.offset + 1
        offsets = [TopicPartition(settings.input_topic, partition, offset) for partition, offset in ends.items()]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 10)
        producer.commit_transaction(10)
        done += len(messages)
    seconds = time.monotonic() - started
    consumer.close()
    return done / seconds
