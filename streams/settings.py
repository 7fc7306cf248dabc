"""Every setting, declared once: type, default, environment name (SIGNALS_ and the field's name in capitals) and a sentence.

`docs/settings.md` is rendered from here and a test compares them.
"""

import tempfile
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Settings", "reference"]


class Settings(BaseSettings):
    """What a worker and every verb of the command line read from the environment."""

    model_config = SettingsConfigDict(env_prefix="SIGNALS_", frozen=True, env_ignore_empty=True)

    kafka_brokers: str = Field("localhost:9092", description="Kafka bootstrap servers, host:port, comma-separated.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers."
    )
    kafka_sasl_mechanism: str = Field("", description="SASL mechanism, e.g. SCRAM-SHA-512; needed for SASL_*, empty for none.")
    kafka_sasl_username: str = Field("", description="SASL user name.")
    kafka_sasl_password: SecretStr = Field(SecretStr(""), description="SASL password.")
    kafka_ssl_ca_location: str = Field("", description="Path of the brokers' CA certificate; empty for the system's own.")
    registry_url: str = Field(
        "http://localhost:8081", description="Schema registry with the Confluent API (Apicurio: …/apis/ccompat/v7)."
    )
    triton_urls: str = Field(
        "localhost:8001", description="Triton gRPC addresses, host:port, comma-separated; requests go round."
    )
    group: str = Field(
        "signals",
        pattern=r"^[a-zA-Z0-9._-]{1,200}$",
        description="Consumer group, of letters, digits, '.', '_' and '-', at most 200; also names dlq.<group>.",
    )
    input_topic: str = Field("content-published.v1", description="Topic of content-published events.")
    ledger_topic: str = Field("signal-outcomes.v1", description="Topic of terminal outcomes.")
    signals: str = Field("", description="Signals this worker computes, comma-separated; empty for all of the catalogue.")
    concurrency: int = Field(32, ge=1, le=512, description="Events in work at once in one worker.")
    transaction_ms: int = Field(50, ge=5, le=2000, description="A transaction this often; half of it is added to the latency.")
    transaction_timeout_ms: int = Field(5000, ge=1000, description="After a crash, subscribers wait for at most this long.")
    drain_ms: int = Field(
        300, ge=0, description="Given-up partitions: time to finish what is in work; the rest goes to the next owner."
    )
    max_record_bytes: int = Field(
        900_000, ge=10_000, description="Largest signal record; the broker's message.max.bytes must allow more."
    )
    transactional_id: str = Field("", description="Stable name of this slot in a fixed fleet; empty: made up at each start.")
    windows_in_flight: int = Field(8, ge=1, description="Windows of one event and signal that are inferred at once.")
    requests_per_model: int = Field(64, ge=1, description="Requests in flight to one model from one worker.")
    infer_timeout_seconds: float = Field(60.0, gt=0, description="One inference, queueing in Triton included.")
    decoders: int = Field(2, ge=1, description="Decode processes.")
    decode_timeout_seconds: float = Field(
        600.0, gt=0, description="Wall time to decode one asset; the process is killed after it."
    )
    decode_memory_bytes: int = Field(4 * 1024**3, ge=256 * 1024**2, description="Address space of one decode process.")
    spool_dir: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()),
        description="Folder for fetched media while they are in work; default: the system's.",
    )
    max_asset_bytes: int = Field(4 * 1024**3, ge=1, description="Largest asset that is fetched.")
    fetch_timeout_seconds: float = Field(300.0, gt=0, description="Whole fetch of one asset.")
    fetch_idle_seconds: float = Field(30.0, gt=0, description="Longest silence of a store while fetching.")
    file_roots: str = Field("", description="Folders that file:// assets may lie in, colon-separated; empty: none.")
    allowed_hosts: str = Field(
        "",
        description="The operator's http(s) stores, host or host:port, comma-separated: may be private, are waited for.",
    )
    s3_endpoint: str = Field("", description="S3 endpoint for stores that are not AWS; empty for AWS.")
    s3_region: str = Field("us-east-1", description="S3 region.")
    s3_access_key_id: str = Field("", description="S3 access key; empty for the environment's own credentials.")
    s3_secret_access_key: SecretStr = Field(SecretStr(""), description="S3 secret key.")
    worker_name: str = Field("", description="Name of this worker on the ledger; empty for host name and process id.")

    @model_validator(mode="after")
    def _sasl_has_a_mechanism(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL_") and not self.kafka_sasl_mechanism:
            raise ValueError(
                f"SIGNALS_KAFKA_SECURITY_PROTOCOL is {self.kafka_security_protocol!r}, "
                "which needs SIGNALS_KAFKA_SASL_MECHANISM, e.g. SCRAM-SHA-512"
            )
        return self


def reference() -> str:
    """The reference page, in Markdown: `python -m streams.settings > docs/settings.md`."""
    rows = []
    for name, field in Settings.model_fields.items():
        annotation = field.annotation
        kind = (
            annotation.__name__ if isinstance(annotation, type) else " or ".join(f"`{value}`" for value in get_args(annotation))
        )
        default = (
            field.default.get_secret_value()
            if isinstance(field.default, SecretStr)
            else ""
            if field.default_factory
            else field.default
        )
        rows.append(f"| `SIGNALS_{name.upper()}` | {kind} | {f'`{default}`' if str(default) else ''} | {field.description} |")
    head = [
        "# Settings",
        "",
        "Environment variables that a worker and every verb of the command line read. Rendered from `streams/settings.py`.",
        "",
    ]
    return "\n".join([*head, "| name | type | default | what it does |", "|---|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
