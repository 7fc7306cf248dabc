"""Which exceptions are a person's to mend, and the sentence they get instead of a traceback."""

__all__ = ["sentence_of"]


def sentence_of(error: Exception) -> str | None:
    """One sentence for what a person can mend: what is wrong, with which value, what to do. None for a bug of ours."""
    from confluent_kafka import KafkaException
    from pydantic import ValidationError

    from embedded.errors import EmbeddedError
    from processors.errors import SignalsError
    from streams.settings import Settings
    from streams.startup import CannotStart

    if isinstance(error, SignalsError):
        return error.detail
    if isinstance(error, CannotStart | EmbeddedError):
        return str(error)
    if isinstance(error, KafkaException):
        brokers = Settings().kafka_brokers
        return f"Kafka at {brokers} says: {error.args[0].str()}. Check SIGNALS_KAFKA_BROKERS, or see `signals doctor`."
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        name = "SIGNALS_" + "_".join(str(part) for part in first["loc"]).upper()
        return f"The setting {name} is {first['input']!r}: {first['msg']}."
    return None
