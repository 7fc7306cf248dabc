"""From findings and errors to one terminal status."""

import pytest
from fakes import permanent, text_signal

from processors.conclusion import conclude
from processors.errors import Reason
from schemas.records import Findings, Status

OK = Findings()
BAD = permanent("damaged", Reason.UNDECODABLE)
NO_SOUND = permanent("no sound", Reason.NO_SUCH_STREAM)


@pytest.mark.parametrize(
    ("found", "status", "reason"),
    [
        ({"a": OK}, Status.OK, None),
        ({"a": OK, "b": NO_SOUND}, Status.OK, None),
        ({"a": OK, "b": BAD}, Status.DEGRADED, Reason.UNDECODABLE),
        ({"a": BAD, "b": NO_SOUND}, Status.FAILED, Reason.UNDECODABLE),
        ({"a": NO_SOUND}, Status.SKIPPED, Reason.NO_SUCH_STREAM),
        ({}, Status.SKIPPED, Reason.NO_APPLICABLE_ASSET),
    ],
)
def test_status_and_reason(found: dict[str, object], status: Status, reason: Reason | None) -> None:
    """OK, DEGRADED, FAILED and SKIPPED, each from the mix of results that it names."""
    conclusion = conclude(text_signal(), found)  # type: ignore[arg-type]
    assert (conclusion.status, conclusion.reason) == (status, reason)


def test_only_failures_are_missing() -> None:
    """An asset that has nothing to understand is not reported as missing; one that failed is, with its detail."""
    conclusion = conclude(text_signal(), {"a": OK, "b": BAD, "c": NO_SOUND})
    assert [(m.asset_id, m.reason, m.detail) for m in conclusion.missing] == [("b", "undecodable", "damaged")]
