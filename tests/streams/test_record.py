"""Records as they come from the consumer."""

from typing import Any

from streams.record import headers_of


class OddHeaders:
    """A message whose headers confluent-kafka cannot read: a name is not UTF-8."""

    def headers(self) -> Any:
        raise SystemError("<method 'headers' of 'cimpl.Message' objects> returned a result with an exception set")


def test_unreadable_headers_do_not_stop_the_worker() -> None:
    """In their place stands a mark; the event itself may be perfectly good."""
    assert headers_of(OddHeaders()) == [("x-signal-headers-unreadable", b"true")]  # type: ignore[arg-type]
