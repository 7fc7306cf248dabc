"""Which offsets of a partition are handed out, finished, committed. Pure: no Kafka, no clock.

Work finishes in any order, so a single committed offset cannot say what is done. The commit therefore carries, in its metadata
string, the list of holes: the unfinished offsets below the newest one handed out. What is below that one and not in the list is
done. The next owner reads both and skips what is done; the list's length follows the work in flight, not the distance.
"""

import base64
import binascii
import zlib
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

__all__ = ["METADATA_BYTES", "MOST_HOLES", "OffsetBook", "pack", "unpack"]

METADATA_BYTES = 4_096
"""What a broker accepts in a commit (`offset.metadata.max.bytes`, its default)."""

MOST_HOLES = 500
"""Unfinished offsets a partition may have. 500 gaps of up to five varint bytes, in base64, stay below METADATA_BYTES."""

_VERSION = "1"


def pack(cluster: str, holes: list[int], high: int) -> str:
    """Metadata that says which offsets from holes[0] to below `high` are unfinished; "" when none is.

    version | cluster | base | varint gaps in base64 | crc32. It names its cluster and base, so that a copy of it that landed on
    another cluster or offset (mirroring and offset tools do that) is seen to be untrue.
    """
    if not holes:
        return ""
    raw = bytearray()
    for here, after in zip(holes, [*holes[1:], high], strict=True):
        gap = after - here
        while gap > 127:
            raw.append(gap & 127 | 128)
            gap >>= 7
        raw.append(gap)
    text = f"{_VERSION}|{cluster}|{holes[0]}|{base64.b64encode(raw).decode()}"
    return f"{text}|{zlib.crc32(text.encode()):08x}"


def unpack(cluster: str, base: int, metadata: str | None) -> tuple[list[int], int] | None:
    """Holes and the offset after the newest handed out, or None if the metadata is foreign, damaged or not ours.

    No metadata is a truth of its own: nothing above `base` is done. Gives ([], base) then.
    """
    if not metadata:
        return [], base
    text, _, checksum = metadata.rpartition("|")
    head, _, packed = text.rpartition("|")
    if checksum != f"{zlib.crc32(text.encode()):08x}" or head != f"{_VERSION}|{cluster}|{base}":
        return None
    try:
        raw = base64.b64decode(packed, validate=True)
    except binascii.Error:
        return None
    offsets, gap, shift = [base], 0, 0
    for byte in raw:
        gap |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            offsets.append(offsets[-1] + gap)
            gap = shift = 0
    return offsets[:-1], offsets[-1]


@dataclass
class OffsetBook:
    """One assignment of one partition. Each offset below `high` that is not in `unfinished` is done.

    epoch tells assignments of the same partition apart: what an earlier one finishes late counts for nothing.
    inherited: the former owner's holes that were not delivered to us yet, ascending.
    """

    epoch: int
    high: int
    unfinished: set[int] = field(default_factory=set)
    inherited: deque[int] = field(default_factory=deque)

    @classmethod
    def opened(cls, epoch: int, cluster: str, committed: int, metadata: str | None) -> tuple["OffsetBook", bool]:
        """The book of a new assignment, and whether the metadata was believed. committed < 0: nothing was ever committed."""
        if committed < 0:
            return cls(epoch, 0), True
        believed = unpack(cluster, committed, metadata)
        holes, high = believed or ([], committed)
        return cls(epoch, high, set(holes), deque(holes)), believed is not None

    def hand_out(self, offset: int) -> bool:
        """Take a delivered offset into work; False if it is done already."""
        while self.inherited and self.inherited[0] < offset:  # compacted or expired meanwhile: never delivered again
            self.unfinished.discard(self.inherited.popleft())
        if self.inherited and self.inherited[0] == offset:
            self.inherited.popleft()
            return True
        if offset < self.high:
            return False
        self.unfinished.add(offset)
        self.high = offset + 1
        return True

    @property
    def full(self) -> bool:
        """Whether another hole might not fit into the commit's metadata."""
        return len(self.unfinished) >= MOST_HOLES

    @property
    def in_work(self) -> int:
        """Offsets that are handed out here and not finished."""
        return len(self.unfinished) - len(self.inherited)

    def commit_without(self, finished: Collection[int], cluster: str) -> tuple[int, str]:
        """Offset and metadata to commit once `finished` are done too. The book itself changes only by `finish`."""
        holes = sorted(self.unfinished.difference(finished))
        return (holes[0] if holes else self.high), pack(cluster, holes, self.high)

    def finish(self, finished: Collection[int]) -> None:
        """These are done and committed."""
        self.unfinished.difference_update(finished)
