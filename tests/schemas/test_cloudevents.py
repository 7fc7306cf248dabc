"""CloudEvents headers, binary mode."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import cloudevents

TIME = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_the_six_headers():
    """Names, order and values are those of the Kafka protocol binding; the time is RFC 3339 in UTC."""
    assert cloudevents.headers("i", "/upload/t", "content-published.v1", TIME) == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"i"),
        ("ce_source", b"/upload/t"),
        ("ce_type", b"content-published.v1"),
        ("ce_time", b"2026-01-02T03:04:05.000006Z"),
        ("content-type", b"application/avro"),
    ]


def test_times_are_told_in_utc():
    """A time of another zone is the same moment in UTC."""
    elsewhere = TIME.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert cloudevents.headers("i", "s", "t", elsewhere) == cloudevents.headers("i", "s", "t", TIME)


def test_parse_gives_attributes_back():
    """Attributes come back under their own names, extensions too, and nothing else does."""
    headers = [*cloudevents.headers("é", "s", "t", TIME, "text/plain"), ("ce_subject", b"c1"), ("traceparent", b"00-1")]
    assert cloudevents.parse(headers) == {
        "specversion": "1.0",
        "id": "é",
        "source": "s",
        "type": "t",
        "time": "2026-01-02T03:04:05.000006Z",
        "datacontenttype": "text/plain",
        "subject": "c1",
    }


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["ce_id", "ce_", "content-type", "x"]) | st.text(), st.none() | st.binary())))
def test_parse_takes_anything(headers):
    """Whatever headers a record has, the answer is a mapping of strings."""
    assert all(isinstance(text, str) for item in cloudevents.parse(headers).items() for text in item)


@pytest.mark.parametrize("wrong", [{"id": ""}, {"source": ""}, {"type": ""}, {"time": datetime(2026, 1, 2)}])  # noqa: DTZ001
def test_what_no_event_may_be(wrong):
    """Empty required attributes and times without timezone are refused by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        cloudevents.headers(**{"id": "i", "source": "s", "type": "t", "time": TIME} | wrong)
