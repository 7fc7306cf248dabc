"""Every error of the system, and whether trying again can help.

    SignalsError
    ├── InfrastructureError   a server is away (Triton, store, registry, broker): wait and try again, for ever
    │   └── Overloaded        it answers, and says it is full: slow down
    ├── HealableError         this one object may heal (not there yet, timed out): try again a few times
    └── PermanentError        trying again gives the same answer: the outcome is FAILED, at once
        ├── ContentError      the media itself
        ├── ContractError     the event breaks its contract
        └── ModelError        the model refused its input or answered nonsense

Each carries a `reason`, one of a closed list, which is what ledger and dead letters show.
"""

from enum import StrEnum
from typing import ClassVar

__all__ = [
    "ContentError",
    "ContractError",
    "HealableError",
    "InfrastructureError",
    "ModelError",
    "Overloaded",
    "PermanentError",
    "Reason",
    "SignalsError",
]


class Reason(StrEnum):
    """Reason codes: the closed list that ledger, dead letters and metrics use."""

    # skipped
    NO_APPLICABLE_ASSET = "no_applicable_asset"
    NO_SUCH_STREAM = "no_such_stream"
    EMPTY_CONTENT = "empty_content"
    # the event
    UNREADABLE_EVENT = "unreadable_event"
    CONTRACT_BROKEN = "contract_broken"
    # fetch
    NOT_FOUND = "not_found"
    ACCESS_DENIED = "access_denied"
    ADDRESS_REFUSED = "address_refused"
    TOO_LARGE = "too_large"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    SIZE_MISMATCH = "size_mismatch"
    FETCH_TIMEOUT = "fetch_timeout"
    STORE_UNAVAILABLE = "store_unavailable"
    # decode
    UNSUPPORTED_FORMAT = "unsupported_format"
    UNDECODABLE = "undecodable"
    LIMIT_EXCEEDED = "limit_exceeded"
    DECODE_TIMEOUT = "decode_timeout"
    DECODER_CRASHED = "decoder_crashed"
    # infer
    MODEL_UNAVAILABLE = "model_unavailable"
    MODEL_OVERLOADED = "model_overloaded"
    MODEL_REJECTED_INPUT = "model_rejected_input"
    MODEL_FAILED = "model_failed"
    BAD_OUTPUT = "bad_output"
    # publish
    BROKER_UNAVAILABLE = "broker_unavailable"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    # reduce and publish
    WORKER_CODE_FAILED = "worker_code_failed"
    UPSTREAM_SIGNAL_FAILED = "upstream_signal_failed"
    SIGNAL_CODE_FAILED = "signal_code_failed"
    RECORD_TOO_LARGE = "record_too_large"
    RECORD_REFUSED = "record_refused"


class SignalsError(Exception):
    """Base of the tree. `detail` is one sentence for a person: what is wrong, with which value."""

    retriable: ClassVar[bool]
    attempts: int = 1  # how often it was tried before it was raised

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)  # both, so that the error survives pickling between processes
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.detail} ({self.reason})"


class InfrastructureError(SignalsError):
    """A server that everyone needs is away."""

    retriable = True


class Overloaded(InfrastructureError):
    """A server is there and full."""


class HealableError(SignalsError):
    """One object that may be right in a moment."""

    retriable = True


class PermanentError(SignalsError):
    """The same again would fail the same."""

    retriable = False


class ContentError(PermanentError):
    """The media cannot be understood: damaged, unsupported, beyond a limit, or refused."""


class ContractError(PermanentError):
    """The event does not keep its contract."""


class ModelError(PermanentError):
    """The model refused the input, or its answer is not what it promises."""
