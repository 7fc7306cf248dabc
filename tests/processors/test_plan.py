"""Which signals apply to which assets, and in which order."""

import pytest
from fakes import text_event, text_signal

from processors.plan import in_order, make_plan
from schemas.records import Asset, MediaKind


def test_work_is_by_material_and_kind() -> None:
    """Each asset and text gets the signals of its kind; one that none applies to is no work."""
    signals = [text_signal("text.a"), text_signal("audio.b", applies_to=frozenset({MediaKind.AUDIO, MediaKind.VIDEO}))]
    assets = (
        Asset(asset_id="film", kind=MediaKind.VIDEO, uri="s3://b/film"),
        Asset(asset_id="cover", kind=MediaKind.IMAGE, uri="s3://b/cover"),
    )
    plan = make_plan(text_event("abc", assets=assets), signals)
    assert [(material.id, [s.name for s in applying]) for material, applying in plan.work] == [
        ("film", ["audio.b"]),
        ("text0", ["text.a"]),
    ]
    assert [signal.name for signal in plan.signals] == ["text.a", "audio.b"]


def test_needs_come_first() -> None:
    """A signal stands after all that it needs, also at several removes."""
    ordered = in_order(
        [text_signal("text.c", needs=("text.b",)), text_signal("text.b", needs=("text.a",)), text_signal("text.a")]
    )
    assert [signal.name for signal in ordered] == ["text.a", "text.b", "text.c"]


def test_a_circle_is_refused() -> None:
    """Two signals that need each other cannot be planned."""
    with pytest.raises(ValueError, match="cycle"):
        in_order([text_signal("text.a", needs=("text.b",)), text_signal("text.b", needs=("text.a",))])
