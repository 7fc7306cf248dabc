"""From an event to what is to be done: which signals apply to which assets, in which order, and why others do not."""

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from processors.signal import Signal
from schemas.records import Asset, ContentPublished, MediaKind, TextField

__all__ = ["Material", "Plan", "in_order", "make_plan"]


@dataclass(frozen=True, slots=True)
class Material:
    """One thing to understand: an asset or an inline text. id: the asset's id, or the text's field name."""

    id: str
    kind: MediaKind
    media: Asset | TextField


@dataclass(frozen=True, slots=True)
class Plan:
    """signals: all of the catalogue, each after those it needs. work: each material, with the signals that apply."""

    signals: tuple[Signal, ...]
    work: tuple[tuple[Material, tuple[Signal, ...]], ...]


def in_order(signals: Sequence[Signal]) -> tuple[Signal, ...]:
    """The signals, each after those it needs. Raises ValueError where a need is not listed or goes in a circle."""
    by_name = {signal.name: signal for signal in signals}
    for signal in signals:
        if absent := set(signal.needs) - by_name.keys():
            raise ValueError(
                f"{signal.name} needs {', '.join(sorted(absent))}, which is not among the signals to compute; add it"
            )
    sorter = TopologicalSorter({signal.name: signal.needs for signal in signals})
    return tuple(by_name[name] for name in sorter.static_order())


def make_plan(event: ContentPublished, signals: Sequence[Signal]) -> Plan:
    """signals: as `in_order` gives them."""
    materials = [Material(asset.asset_id, asset.kind, asset) for asset in event.assets]
    materials += [Material(text.name, MediaKind.TEXT, text) for text in event.texts]
    work = ((material, tuple(s for s in signals if material.kind in s.applies_to)) for material in materials)
    return Plan(tuple(signals), tuple((material, applying) for material, applying in work if applying))
