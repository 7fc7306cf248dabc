"""The offset book and the metadata of its commits."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.offset_book import METADATA_BYTES, MOST_HOLES, OffsetBook, pack, unpack

CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
holes_and_high = st.lists(st.integers(0, 2**40), min_size=1, max_size=200, unique=True).map(sorted)


@given(holes_and_high, st.integers(1, 2**30))
def test_metadata_round_trip(holes: list[int], beyond: int) -> None:
    """What is packed is what is unpacked, for any offsets."""
    high = holes[-1] + beyond
    assert unpack(CLUSTER, holes[0], pack(CLUSTER, holes, high)) == (holes, high)


@pytest.mark.parametrize(
    "metadata",
    [
        "checkpoint 17",
        "1|other-cluster|5|AQ==|00000000",
        pack("other-cluster", [5], 6),
        pack(CLUSTER, [4], 6),
        pack(CLUSTER, [5], 6)[:-1] + "0",
        pack(CLUSTER, [5], 6).replace("1|", "2|", 1),
        "\x00" * 50,
        "1|" + CLUSTER + "|5|~~~~|12345678",
    ],
)
def test_foreign_metadata_is_not_believed(metadata: str) -> None:
    """Another cluster's, another offset's, damaged or alien metadata is recognised and ignored."""
    assert unpack(CLUSTER, 5, metadata) is None
    book, believed = OffsetBook.opened(1, CLUSTER, 5, metadata)
    assert (book.high, book.unfinished, believed) == (5, set(), False)


@given(st.text(max_size=200))
def test_any_text_is_survived(metadata: str) -> None:
    """No metadata, however odd, raises."""
    assert unpack(CLUSTER, 5, metadata) in (None, ([], 5))


def test_the_list_of_holes_always_fits() -> None:
    """As many holes as a book allows, as far apart as 2^35, are shorter than what a broker accepts."""
    holes = [number * 2**34 for number in range(1, MOST_HOLES + 1)]
    assert len(pack(CLUSTER, holes, holes[-1] + 2**34)) <= METADATA_BYTES


def test_a_full_book_says_so() -> None:
    """At the bound nothing more is handed out until something is finished."""
    book = OffsetBook(epoch=1, high=0)
    for offset in range(MOST_HOLES):
        assert not book.full
        book.hand_out(offset)
    assert book.full
    book.finish({7})
    assert not book.full


def test_holes_that_never_come_again_are_done() -> None:
    """Offsets that compaction removed are finished as soon as a later one arrives."""
    book = OffsetBook(1, 10, {3, 5, 8}, deque([3, 5, 8]))
    assert book.hand_out(8)
    assert book.unfinished == {8}
    assert book.commit_without({8}, CLUSTER) == (10, "")


class Partition(RuleBasedStateMachine):
    """A log with gaps, owners that come and go, commits that succeed or not: each offset is done exactly once."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[int] = []
        self.next_offset = 0
        self.committed: tuple[int, str] = (-1, "")
        self.done: list[int] = []
        self.open_book()

    def open_book(self) -> None:
        self.book, believed = OffsetBook.opened(1, CLUSTER, *self.committed)
        assert believed
        self.position = max(self.committed[0], 0)
        self.in_work: set[int] = set()
        self.finished: set[int] = set()

    @rule(gap=st.integers(0, 3))
    def append(self, gap: int) -> None:
        self.log.append(self.next_offset + gap)
        self.next_offset += gap + 1

    @rule(count=st.integers(1, 10))
    def deliver(self, count: int) -> None:
        for offset in [offset for offset in self.log if offset >= self.position][:count]:
            self.position = offset + 1
            if self.book.hand_out(offset):
                assert offset not in self.done, "handed out although a commit says it is done"
                self.in_work.add(offset)

    @precondition(lambda self: self.in_work)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.in_work)))
        self.in_work.discard(offset)
        self.finished.add(offset)

    @precondition(lambda self: self.finished)
    @rule()
    def commit(self) -> None:
        self.committed = self.book.commit_without(self.finished, CLUSTER)
        self.book.finish(self.finished)
        self.done += sorted(self.finished)
        self.finished = set()

    @rule()
    def refused_commit(self) -> None:
        self.book.commit_without(self.finished, CLUSTER)

    @rule()
    def crash_and_next_owner(self) -> None:
        self.open_book()

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def compaction(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.log))
        if gone in self.done:
            self.log.remove(gone)

    @invariant()
    def each_is_done_at_most_once(self) -> None:
        assert len(self.done) == len(set(self.done))

    def teardown(self) -> None:
        self.open_book()
        self.deliver(len(self.log) + 1)
        self.finished |= self.in_work
        if self.finished:
            self.commit()
        assert set(self.log) <= set(self.done), "lost"
        assert len(self.done) == len(set(self.done)), "done twice"


TestPartition = Partition.TestCase
TestPartition.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
