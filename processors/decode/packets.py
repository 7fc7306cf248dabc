"""Packets of a container and the frames in them, over places that are damaged."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

__all__ = ["AnyPacket", "AnyStream", "StreamDecoder", "packets_of"]

AnyStream = AudioStream | VideoStream
AnyPacket: TypeAlias = "Packet[Any]"  # generic in its stubs only

_BAD_PACKETS = 50  # in a row; fewer are skipped, as players do


def packets_of(container: InputContainer, streams: Sequence[AnyStream]) -> Iterator[AnyPacket]:
    """The packets of these streams, over single places where the container is damaged, and an empty one at the end of each."""
    bad = 0
    while streams:
        try:
            for packet in container.demux(list(streams)):
                bad = 0
                yield packet
            return
        except av.error.InvalidDataError:
            bad += 1
            if bad >= _BAD_PACKETS:
                raise


class StreamDecoder:
    """Decodes the packets of a stream, over single damaged ones."""

    def __init__(self, stream: AnyStream) -> None:
        stream.codec_context.thread_count = 1
        self._bad = 0
        self._good = 0
        self._last_error: av.error.FFmpegError | None = None

    def frames(self, packet: AnyPacket) -> Sequence[object]:
        try:
            frames = packet.decode()
        except MemoryError:
            raise
        except av.error.FFmpegError as error:
            self._bad, self._last_error = self._bad + 1, error
            if self._bad >= _BAD_PACKETS:
                raise
            return ()
        if frames:
            self._bad, self._good = 0, self._good + len(frames)
        return frames

    def finish(self) -> None:
        if self._last_error is not None and not self._good:
            raise self._last_error
