"""Sound and video files to the views of them that features ask for, in one pass, however long the file is.

PyAV is the only decoder, and it is given nothing but bytes: no name, no address, no protocol, and the demuxers of FORMATS alone,
so that a playlist, whatever it is called, opens no other file. What a header says is not believed: samples and frames are
counted as they are made.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import BinaryIO, Protocol, TypeVar

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from processors.decode.frames import FrameClock, FramePieces, TimedFrame
from processors.decode.limits import Limits
from processors.decode.loudness import LoudnessMeter
from processors.decode.packets import AnyPacket, AnyStream, StreamDecoder, packets_of
from processors.decode.sound import Joiner, MonoWindows, SoundMeter
from processors.errors import ContentError, Reason
from processors.media import Frames, Loudness, MissingStream, Mono, Piece, View

__all__ = ["FORMATS", "decode_container"]

FORMATS = ("mp3", "ogg", "flac", "wav", "aac", "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm")
"""FFmpeg's names of the accepted containers."""

F = TypeVar("F", contravariant=True)
S = TypeVar("S", AudioStream, VideoStream)

_OPTIONS = {"protocol_whitelist": "", "format_whitelist": ",".join(FORMATS)}
_READ_BYTES = 1 << 18
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image

# What PyAV raises on damaged, foreign and hostile files; the first match counts. Failures of the disk are not among them.
_REASONS: tuple[tuple[type[BaseException], Reason], ...] = (
    (av.error.PatchWelcomeError, Reason.UNSUPPORTED_FORMAT),
    (av.error.NotImplementedError, Reason.UNSUPPORTED_FORMAT),
    (av.error.LookupError, Reason.UNSUPPORTED_FORMAT),
    (MemoryError, Reason.LIMIT_EXCEEDED),
    (av.error.FFmpegError, Reason.UNDECODABLE),
    (UnicodeDecodeError, Reason.UNDECODABLE),
    (OverflowError, Reason.UNDECODABLE),
)


def decode_container(source: BinaryIO, views: frozenset[View], limits: Limits) -> Iterator[tuple[View, Piece]]:
    """The pieces of all views of one file, each view's in order, as they come up in one pass over it.

    source: seekable, at its start. views: Mono, Loudness, Frames. Sound and video are the file's best stream of each kind; cover
    pictures are no video. Times count from the first frame of the video, or where there is none, from the first sample. A view
    of a stream that the file lacks, or that is empty, gets one MissingStream.

    Raises ContentError: UNSUPPORTED_FORMAT, UNDECODABLE, LIMIT_EXCEEDED; perhaps after pieces that are good. A damaged packet is
    skipped; fifty in a row, or nothing but damaged ones, are UNDECODABLE.
    """
    for view in views:
        if not isinstance(view, Mono | Loudness | Frames):
            raise TypeError(
                f"Sound and video give Mono, Loudness and Frames views, not {view}; ask the feature's view for this kind"
            )
    with _av_errors(), _open(source) as container:
        yield from _decode(container, views, limits)


class _Nameless:
    """A file's bytes without its name, which FFmpeg would else guess from."""

    def __init__(self, source: BinaryIO) -> None:
        self.read, self.seek, self.tell = source.read, source.seek, source.tell


def _open(source: BinaryIO) -> InputContainer:
    try:
        return av.open(_Nameless(source), "r", options=_OPTIONS, metadata_errors="ignore", buffer_size=_READ_BYTES)
    except (av.error.InvalidDataError, av.error.ArgumentError, av.error.EOFError) as error:
        known = ", ".join(FORMATS)
        detail = f"The file is no sound or video in one of the formats {known}, or its header is damaged: {error.strerror}"
        raise ContentError(Reason.UNSUPPORTED_FORMAT, detail) from error


@contextmanager
def _av_errors() -> Iterator[None]:
    """Turns whatever PyAV raises inside into ContentError, by the table."""
    try:
        yield
    except tuple(kind for kind, _ in _REASONS) as error:
        reason = next(reason for kind, reason in _REASONS if isinstance(error, kind))
        raise ContentError(reason, f"The sound or video cannot be decoded: {str(error)[:200]}") from error


class _Sink(Protocol[F]):
    """Makes the pieces of one view."""

    def push(self, frame: F, /) -> Iterator[Piece]: ...

    def finish(self) -> Iterator[Piece]: ...


class _Track(Protocol):
    """One stream of the file on its way to its views."""

    @property
    def stream(self) -> AnyStream: ...

    def push(self, packet: AnyPacket) -> Iterator[tuple[View, Piece]]: ...

    def finish(self) -> Iterator[tuple[View, Piece]]: ...


class _SoundTrack:
    def __init__(self, stream: AudioStream, views: Iterable[Mono | Loudness], limits: Limits, offset_ms: int) -> None:
        self.stream = stream
        self._decoder = StreamDecoder(stream)
        self._meter = SoundMeter(limits)
        self._joiner = Joiner()
        self._sinks: dict[View, _Sink[AudioFrame]] = {
            view: MonoWindows(view, offset_ms) if isinstance(view, Mono) else LoudnessMeter() for view in views
        }

    def push(self, packet: AnyPacket) -> Iterator[tuple[View, Piece]]:
        for frame in self._decoder.frames(packet):
            if isinstance(frame, AudioFrame):
                self._meter.count(frame)
                yield from self._spread(self._joiner.push(frame))

    def finish(self) -> Iterator[tuple[View, Piece]]:
        yield from self._spread(self._joiner.finish())
        for view, sink in self._sinks.items():
            yield from ((view, piece) for piece in sink.finish())
        self._decoder.finish()

    def _spread(self, frames: Iterator[AudioFrame]) -> Iterator[tuple[View, Piece]]:
        for frame in frames:
            for view, sink in self._sinks.items():
                yield from ((view, piece) for piece in sink.push(frame))


class _VideoTrack:
    def __init__(self, stream: VideoStream, views: Iterable[Frames], limits: Limits) -> None:
        context = stream.codec_context
        if context.width * context.height > limits.max_frame_pixels:
            size = f"{context.width} × {context.height}"
            raise ContentError(Reason.LIMIT_EXCEEDED, f"The video has {size} pixels; allowed are {limits.max_frame_pixels}")
        context.options = {"max_pixels": str(limits.max_frame_pixels)}
        self.stream = stream
        self._decoder = StreamDecoder(stream)
        self._clock = FrameClock(limits, stream.time_base, stream.average_rate)
        self._sinks: dict[View, _Sink[TimedFrame]] = {view: FramePieces(view, stream.sample_aspect_ratio) for view in views}

    def push(self, packet: AnyPacket) -> Iterator[tuple[View, Piece]]:
        for frame in self._decoder.frames(packet):
            if isinstance(frame, VideoFrame):
                timed = self._clock.time(frame)
                for view, sink in self._sinks.items():
                    yield from ((view, piece) for piece in sink.push(timed))

    def finish(self) -> Iterator[tuple[View, Piece]]:
        for view, sink in self._sinks.items():
            yield from ((view, piece) for piece in sink.finish())
        self._decoder.finish()


def _decode(container: InputContainer, views: frozenset[View], limits: Limits) -> Iterator[tuple[View, Piece]]:
    served = set()
    tracks = {track.stream.index: track for track in _tracks(container, views, limits)}
    for packet in packets_of(container, [track.stream for track in tracks.values()]):
        for view, piece in tracks[packet.stream.index].push(packet):
            served.add(view)
            yield view, piece
    for track in tracks.values():
        for view, piece in track.finish():
            served.add(view)
            yield view, piece
    for view in views - served:
        what = "video" if isinstance(view, Frames) else "sound"
        yield view, MissingStream(f"The file has no {what}, or it is empty")


def _tracks(container: InputContainer, views: frozenset[View], limits: Limits) -> Iterator[_Track]:
    sound, video = _best(container, container.streams.audio), _best(container, container.streams.video)
    of_sound = [view for view in views if isinstance(view, Mono | Loudness)]
    of_video = [view for view in views if isinstance(view, Frames)]
    if sound and of_sound:
        yield _SoundTrack(_decodable(sound), of_sound, limits, _offset_ms(sound, video, limits))
    if video and of_video:
        yield _VideoTrack(_decodable(video), of_video, limits)


def _best(container: InputContainer, streams: Sequence[S]) -> S | None:
    real = [stream for stream in streams if not stream.disposition & _NO_VIDEO]
    best = container.streams.best(real[0].type) if real else None
    return next((stream for stream in real if best and stream.index == best.index), real[0] if real else None)


def _decodable(stream: S) -> S:
    if stream.codec_context is None:
        raise ContentError(Reason.UNSUPPORTED_FORMAT, f"There is no decoder for the file's {stream.type} (stream {stream.index})")
    return stream


def _offset_ms(sound: AudioStream, video: VideoStream | None, limits: Limits) -> int:
    """How much later than the video the sound starts, by the header, ms; 0 where nothing says it or the sound is first."""
    if video is None or None in (sound.start_time, sound.time_base, video.start_time, video.time_base):
        return 0
    later = Fraction((sound.start_time or 0) * (sound.time_base or 0) - (video.start_time or 0) * (video.time_base or 0))
    return round(min(max(later, Fraction(0)), Fraction(limits.max_duration_seconds)) * 1000)
