"""The sentences that stand where tracebacks would."""

import pytest
from pydantic import SecretStr, ValidationError

from cli.errors import sentence_of
from processors.errors import InfrastructureError, Reason
from schemas.wire import WireError, split
from streams.settings import Settings


def refusal(**environment: str) -> ValidationError:
    """What these settings, without their prefix, are refused with."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(f"SIGNALS_{name}", value)
        with pytest.raises(ValidationError) as caught:
            Settings()
    return caught.value


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CONCURRENCY", "0", "input should be greater than or equal to 1"),
        ("DECODERS", "two", "valid integer"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", "'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
        ("GROUP", "my group", "[a-zA-Z0-9._-]"),
        ("GROUP", "grüppe", "[a-zA-Z0-9._-]"),
        ("GROUP", "g" * 201, "200"),
        ("GROUP", "signals\n", "[a-zA-Z0-9._-]"),
    ],
)
def test_a_wrong_setting_is_a_sentence(name: str, value: str, said: str) -> None:
    """The setting's name in the environment, its value, what is allowed, where to read on."""
    sentence = sentence_of(refusal(**{name: value}))
    assert sentence is not None
    assert sentence.startswith(f"The setting SIGNALS_{name} is {value!r}: ")
    assert said in sentence
    assert sentence.endswith(". See docs/settings.md.")
    assert "\n" not in sentence


def test_all_wrong_settings_are_told_at_once() -> None:
    """Still in one sentence."""
    sentence = sentence_of(refusal(CONCURRENCY="0", DECODERS="two"))
    assert sentence is not None
    assert sentence.index("SIGNALS_CONCURRENCY is '0'") < sentence.index("; the setting SIGNALS_DECODERS is 'two'")


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_needs_a_mechanism(protocol: str) -> None:
    """An error of two settings together names both, and shows none of the others, passwords among them."""
    sentence = sentence_of(refusal(KAFKA_SECURITY_PROTOCOL=protocol, KAFKA_SASL_PASSWORD="hunter2", WORKER_NAME="somebody"))
    assert sentence == (
        f"SIGNALS_KAFKA_SECURITY_PROTOCOL is {protocol!r}, which needs SIGNALS_KAFKA_SASL_MECHANISM, e.g. SCRAM-SHA-512. "
        "See docs/settings.md."
    )
    settings = Settings(kafka_security_protocol="SASL_SSL", kafka_sasl_mechanism="PLAIN", kafka_sasl_password=SecretStr("x"))
    assert settings.kafka_sasl_mechanism == "PLAIN"


def test_a_secret_is_never_shown() -> None:
    """Its setting is named, its value is not."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"kafka_sasl_password": ["hunter2"]})
    sentence = sentence_of(caught.value)
    assert sentence is not None
    assert sentence.startswith("The setting SIGNALS_KAFKA_SASL_PASSWORD: ")
    assert "hunter2" not in sentence


@pytest.mark.parametrize("group", ["signals", "a.b_c-D9", "g" * 200])
def test_legal_groups_are_taken(group: str) -> None:
    """All of Kafka's characters, up to the greatest length."""
    assert Settings(group=group).group == group


def test_bytes_that_are_no_record_are_a_sentence() -> None:
    """WireError's message, ended as a sentence."""
    with pytest.raises(WireError) as caught:
        split(b"ab")
    assert sentence_of(caught.value) == "The payload has 2 bytes, but magic byte and schema id alone take 5."


def test_our_own_errors_say_their_detail_and_bugs_say_nothing() -> None:
    """A bug keeps its traceback."""
    assert sentence_of(InfrastructureError(Reason.BROKER_UNAVAILABLE, "It is away.")) == "It is away."
    assert sentence_of(ZeroDivisionError("division by zero")) is None
