"""Small sound and video files, encoded when a test asks for them."""

import io
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

EncodeSound = Callable[..., bytes]
EncodeVideo = Callable[..., bytes]


@pytest.fixture(scope="session")
def encode_sound() -> EncodeSound:
    """samples float32 (channels, n), rate → bytes of a file; container and codec by FFmpeg's names."""
    return _encode_sound


@pytest.fixture(scope="session")
def encode_video() -> EncodeVideo:
    """frames uint8 (n, height, width, 3), times in ms → bytes of a file, with sound (1, n) at 16 kHz if given."""
    return _encode_video


def _encode_sound(
    samples: NDArray[np.float32], rate: int, container: str = "wav", codec: str = "pcm_f32le", layout: str | None = None
) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout or {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)])
        _mux_sound(output, stream, samples, rate)
    return file.getvalue()


def _mux_sound(output, stream, samples, rate, start_ms=0) -> None:
    layout = stream.codec_context.layout.name
    resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
    interleaved = np.ascontiguousarray(samples.T, np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, start_ms * rate // 1000, Fraction(1, rate)
    for converted in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(stream.encode(converted))
    output.mux(stream.encode(None))


def _encode_video(
    frames: NDArray[np.uint8],
    times_ms: Sequence[int] | None = None,
    container: str = "matroska",
    codec: str = "ffv1",
    sound: NDArray[np.float32] | None = None,
    sound_start_ms: int = 0,
) -> bytes:
    times_ms = times_ms or [40 * index for index in range(len(frames))]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        video = output.add_stream(codec, rate=25)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        audio = output.add_stream("pcm_s16le", rate=16_000, layout="mono") if sound is not None else None
        for pixels, time_ms in zip(frames, times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if audio is not None:
            _mux_sound(output, audio, sound, 16_000, sound_start_ms)
    return file.getvalue()
