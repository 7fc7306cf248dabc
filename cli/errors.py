"""Which exceptions are a person's to mend, and the sentence they get instead of a traceback."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["sentence_of"]


def sentence_of(error: Exception) -> str | None:
    """One sentence for what a person can mend: what is wrong, with which value, what to do. None for a bug of ours."""
    from confluent_kafka import KafkaException
    from pydantic import ValidationError

    from embedded.errors import EmbeddedError
    from processors.errors import SignalsError
    from schemas.wire import WireError
    from streams.settings import Settings
    from streams.startup import CannotStart

    if isinstance(error, SignalsError):
        return error.detail
    if isinstance(error, CannotStart | EmbeddedError):
        return str(error)
    if isinstance(error, WireError):
        return f"{str(error).rstrip('.')}."
    if isinstance(error, KafkaException):
        brokers = Settings().kafka_brokers
        return f"Kafka at {brokers} says: {error.args[0].str()}. Check SIGNALS_KAFKA_BROKERS, or see `signals doctor`."
    if isinstance(error, ValidationError) and error.title == Settings.__name__:
        return settings_sentence(error)
    return None


def settings_sentence(error: "ValidationError") -> str:
    """Every setting that is wrong, what is allowed, and where to read of it. Never shows the value of a secret."""
    wrong = "; ".join(wrong_setting(dict(details)) for details in error.errors())
    return f"{wrong[:1].upper()}{wrong[1:]}. See docs/settings.md."


def wrong_setting(details: dict[str, Any]) -> str:
    """details: one of pydantic's errors. Without a `loc` it is of all settings together, and its message names them."""
    from pydantic import SecretStr

    from streams.settings import Settings

    allowed = str(details["msg"]).removeprefix("Value error, ").rstrip(".")
    if not details["loc"]:
        return allowed
    name = str(details["loc"][0])
    field = Settings.model_fields.get(name)
    secret = field is None or field.annotation is SecretStr
    value = "" if secret else f" is {details['input']!r}"
    return f"the setting SIGNALS_{name.upper()}{value}: {allowed[:1].lower()}{allowed[1:]}"
