"""Sound and video files, good ones and hostile ones, through the one pass."""

import io
import random
import struct
from itertools import pairwise

import av
import numpy as np
import pytest
from PIL import Image

from processors.decode.av_container import _REASONS, decode_container
from processors.decode.limits import Limits
from processors.errors import ContentError, Reason
from processors.media import AudioClip, Frames, Loudness, LoudnessReading, MissingStream, Mono, Picture, VideoFrames

SHOTS = Frames(48, 27)
SPEECH = Mono(16_000, window_seconds=1.0)
FORMATS = [
    ("wav", "pcm_f32le", 44_100),
    ("flac", "flac", 44_100),
    ("mp3", "libmp3lame", 44_100),
    ("ogg", "libopus", 48_000),
    ("mp4", "aac", 48_000),
    ("adts", "aac", 22_050),
    ("webm", "libopus", 48_000),
]


def pieces(data, *views, limits=None):
    found = {view: [] for view in views}
    for view, piece in decode_container(io.BytesIO(data), frozenset(views), limits or Limits()):
        found[view].append(piece)
    return [found[view] for view in views]


def joined(clips):
    return np.concatenate([clip.samples for clip in clips], axis=1)


def refused(data, *views, limits=None):
    with pytest.raises(ContentError) as caught:
        pieces(data, *(views or (SPEECH, Loudness(), SHOTS)), limits=limits)
    return caught.value


def noise(seconds, rate, channels=2, seed=1):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, round(seconds * rate))).astype(np.float32)


def plain(count, height=54, width=96):
    """Frames of one grey each, far enough apart to tell them after scaling."""
    greys = (np.arange(count) * 37 % 250).astype(np.uint8)
    return np.broadcast_to(greys[:, None, None, None], (count, height, width, 3)).copy()


# ---- sound ----


@pytest.mark.parametrize(("container", "codec", "rate"), FORMATS)
def test_windows_are_the_whole_cut_up(encode_sound, container, codec, rate):
    """In every format, windows of a second joined are, sample for sample, the file decoded as one window."""
    data = encode_sound(noise(3.3, rate), rate, container, codec)
    windows, (whole,) = pieces(data, SPEECH, Mono(16_000, 600.0))
    assert np.array_equal(joined(windows), whole.samples)
    assert [clip.samples.shape[1] for clip in windows[:-1]] == [16_000] * 3
    assert [clip.start_ms for clip in windows] == [0, 1000, 2000, 3000]
    assert whole.samples.shape[1] == pytest.approx(3.3 * 16_000, abs=1700)


def test_stereo_becomes_the_exact_mean(encode_sound):
    """Where nothing is resampled, a mono sample is the mean of its two channels."""
    samples = noise(2.5, 16_000)
    (clips,) = pieces(encode_sound(samples, 16_000), SPEECH)
    assert np.abs(joined(clips)[0] - samples.mean(axis=0)).max() < 1e-7


def test_resampling_keeps_the_level_of_a_tone(encode_sound):
    """A tone of 0.5 in both channels stays one of 0.5, not of 0.707."""
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)
    (clips,) = pieces(encode_sound(np.stack([tone, tone]), 48_000), SPEECH)
    assert np.abs(joined(clips)[0, 1000:-1000]).max() == pytest.approx(0.5, abs=0.002)


def test_several_views_of_one_file_come_from_one_pass(encode_sound):
    """Two rates and the loudness come from one reading of the file, and no view disturbs another."""
    data = encode_sound(noise(2.0, 48_000), 48_000)
    low, high, (reading,) = pieces(data, Mono(8_000), Mono(48_000), Loudness())
    assert joined(low).shape == (1, 16_000)
    assert joined(high).shape == (1, 96_000)
    assert isinstance(reading, LoudnessReading)
    assert reading.duration_ms == 2000


def test_a_cover_picture_is_no_video(encode_sound):
    """A picture in an mp3's tags gives no frames; the sound is heard."""
    data = id3_with_picture() + encode_sound(noise(1.0, 44_100), 44_100, "mp3", "libmp3lame")
    (missing,), clips = pieces(data, SHOTS, SPEECH)
    assert isinstance(missing, MissingStream)
    assert "no video" in missing.what
    assert joined(clips).shape[1] > 15_000


def id3_with_picture():
    png = io.BytesIO()
    Image.fromarray(plain(1)[0]).save(png, "png")
    body = b"\0image/png\0\x03\0" + png.getvalue()
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\0\0" + body
    size = len(frame)
    return b"ID3\x03\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + frame


def test_a_file_with_a_header_and_no_sample_is_empty(encode_sound):
    """A wav file without samples has nothing to hear, which is no failure."""
    whole = encode_sound(noise(1.0, 16_000, channels=1), 16_000)
    start = whole.index(b"data")
    found = pieces(whole[: start + 4] + bytes(4), SPEECH, Loudness())
    assert all(isinstance(piece, MissingStream) for (piece,) in found)


def test_numbers_that_are_none_do_not_come_through(encode_sound):
    """A float file with NaN, infinity and absurd numbers gives samples that a model can take, and no infinite loudness."""
    samples = noise(4.0, 16_000)
    samples[:, 100], samples[:, 20_000], samples[:, 40_000] = np.nan, np.inf, -1e30
    clips, (reading,) = pieces(encode_sound(samples, 16_000), SPEECH, Loudness())
    assert np.isfinite(joined(clips)).all()
    assert np.abs(joined(clips)).max() <= 8
    numbers = (reading.integrated_lufs, reading.range_lu, reading.short_term_max_lufs, reading.true_peak_dbtp)
    assert all(number is None or np.isfinite(number) for number in numbers)


# ---- video ----


def test_frames_have_the_times_of_the_file(encode_video):
    """With uneven times, in order of showing, each frame has its own, from the first on, and its own pixels."""
    times_ms = [500, 540, 550, 1500, 1541, 3000]
    (frames,) = pieces(encode_video(plain(6), times_ms), SHOTS)
    (piece,) = frames
    assert piece.times_ms.tolist() == [0, 40, 50, 1000, 1041, 2500]
    assert piece.pixels[:, 13, 24, 0].tolist() == pytest.approx(plain(6)[:, 0, 0, 0].tolist(), abs=2)


def test_frames_out_of_order_in_the_file_come_in_order(encode_video):
    """H.264 with B-frames stores frames out of order; they come in the order of showing, none twice."""
    (frames,) = pieces(encode_video(plain(60), container="mp4", codec="libx264"), SHOTS)
    times_ms = np.concatenate([piece.times_ms for piece in frames])
    assert times_ms.tolist() == [40 * index for index in range(60)]
    assert [len(piece.pixels) for piece in frames] == [50, 10]


def test_frames_are_scaled_to_the_size_asked_for(encode_video):
    """An exact size is kept to; a short side of 32 keeps the aspect ratio."""
    exact, short = pieces(encode_video(plain(3)), SHOTS, Frames(32))
    assert exact[0].pixels.shape == (3, 27, 48, 3)
    assert short[0].pixels.shape == (3, 32, 57, 3)


def test_a_video_that_is_all_width_does_not_blow_up(encode_video):
    """The long side is at most 20 times the short one, whatever the file's shape."""
    (frames,) = pieces(encode_video(plain(1, height=2, width=1024)), Frames(64))
    assert frames[0].pixels.shape == (1, 64, 1280, 3)


def test_rotation_is_applied(encode_video):
    """A film from a telephone held upright, stored lying with a matrix that turns it, comes upright."""
    frames = plain(5)
    frames[:, :, :48] = 250
    frames[:, :, 48:] = 10
    data = bytearray(encode_video(frames, container="mp4", codec="libx264"))
    matrix = data.index(b"tkhd") + 44
    data[matrix : matrix + 36] = struct.pack(
        ">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 54 << 16, 0, 1 << 30
    )  # a quarter turn clockwise
    (exact,), (short,) = pieces(bytes(data), SHOTS, Frames(32))
    assert exact.pixels.shape == (5, 27, 48, 3)
    assert short.pixels.shape == (5, 57, 32, 3)
    assert (short.pixels[:, :20] > 200).all()
    assert (short.pixels[:, -20:] < 50).all()


def test_sampling_gives_the_frames_that_are_shown_at_each_step(encode_video):
    """At 0, 500, 1000, … the frame on show, with its own time; one that stays for several steps comes once."""
    times_ms = [0, 40, 490, 510, 990, 1000, 1010, 3200, 3300]
    (frames,) = pieces(encode_video(plain(9), times_ms), Frames(32, every_ms=500, piece_frames=2))
    assert [time for piece in frames for time in piece.times_ms.tolist()] == [0, 490, 1000, 1010]
    assert [len(piece.pixels) for piece in frames] == [2, 2]
    shown = [grey for piece in frames for grey in piece.pixels[:, 16, 16, 0].tolist()]
    assert shown == pytest.approx([plain(9)[index, 0, 0, 0] for index in (0, 2, 5, 6)], abs=2)


def test_the_last_frame_says_how_long_it_is_shown(encode_video):
    """The duration of the last frame is the file's own."""
    (frames,) = pieces(encode_video(plain(10)), SHOTS)
    assert frames[-1].last_duration_ms == 40


def test_a_silent_film_has_no_sound(encode_video):
    """A video without a sound track gives its frames, and MissingStream for each view of sound."""
    frames, (speech,), (loudness,) = pieces(encode_video(plain(5)), SHOTS, SPEECH, Loudness())
    assert len(frames[0].pixels) == 5
    assert isinstance(speech, MissingStream)
    assert isinstance(loudness, MissingStream)


def test_sound_and_video_come_in_one_pass(encode_video):
    """A video with sound serves all views, interleaved."""
    sound = noise(2.4, 16_000, channels=1)
    frames, clips, (reading,) = pieces(encode_video(plain(60), sound=sound), SHOTS, SPEECH, Loudness())
    assert sum(len(piece.pixels) for piece in frames) == 60
    assert np.abs(joined(clips) - sound).max() < 1e-4
    assert reading.duration_ms == 2400


def test_sound_that_starts_after_the_video_has_its_times(encode_video):
    """A sound track that begins 400 ms into the film begins there."""
    sound = noise(1.5, 16_000, channels=1)
    (clips,) = pieces(encode_video(plain(60), sound=sound, sound_start_ms=400), SPEECH)
    assert [clip.start_ms for clip in clips] == [400, 1400]


# ---- limits ----


def test_seconds_are_counted_as_they_are_made(encode_sound):
    """Sound beyond the limit is refused, after the part within it was given."""
    data, heard = encode_sound(noise(5.0, 16_000), 16_000), []
    with pytest.raises(ContentError, match="longer than the allowed 2 s") as caught:
        heard.extend(decode_container(io.BytesIO(data), frozenset({SPEECH}), Limits(max_duration_seconds=2)))
    assert caught.value.reason is Reason.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(max_sample_rate_hz=8_000), "16000 samples a second; allowed are 4000 to 8000"),
        (Limits(max_channels=1), "2 channels; allowed are 1"),
    ],
)
def test_rates_and_channels_beyond_the_limits_are_refused(encode_sound, limits, says):
    """The refusal names the value and the limit."""
    error = refused(encode_sound(noise(0.5, 16_000), 16_000), SPEECH, limits=limits)
    assert error.reason is Reason.LIMIT_EXCEEDED
    assert says in error.detail


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(max_frame_pixels=5_000), "96 × 54 pixels; allowed are 5000"),
        (Limits(max_frames=9), "more than the allowed 9 frames"),
        (Limits(max_duration_seconds=0.2), "longer than the allowed 0.2 s"),
    ],
)
def test_frames_beyond_the_limits_are_refused(encode_video, limits, says):
    """Pixels are refused before the first frame is decoded, frames and seconds when they come."""
    error = refused(encode_video(plain(10)), SHOTS, limits=limits)
    assert error.reason is Reason.LIMIT_EXCEEDED
    assert says in error.detail


def test_limits_must_be_positive():
    """A limit of nothing is a mistake, and is named."""
    with pytest.raises(ValueError, match=r"Limits\.max_frames must be positive, not 0"):
        Limits(max_frames=0)


# ---- hostile ----


class Named(io.BytesIO):
    name = "song.mp3"


@pytest.mark.parametrize(
    "playlist",
    [
        b"ffconcat version 1.0\nfile secret.wav\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.wav\n#EXT-X-ENDLIST\n",
        b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><Period/></MPD>",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    ],
)
def test_a_playlist_reads_no_other_file(encode_sound, playlist, tmp_path, monkeypatch):
    """Playlists are refused, also under the name of a song and beside the file they name."""
    (tmp_path / "secret.wav").write_bytes(encode_sound(noise(1.0, 16_000), 16_000))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ContentError) as caught:
        list(decode_container(Named(playlist), frozenset({SPEECH, Loudness()}), Limits()))
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "junk", [b"", bytes(5_000), random.Random(1).randbytes(50_000), b"no sound\n" * 999, b"RIFF\0\0\0\0WAVE"]
)
def test_what_is_no_media_is_refused(junk):
    """Nothing, zeros, noise, text and half a header are UNSUPPORTED_FORMAT, with the formats that are not."""
    error = refused(junk)
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert "matroska" in error.detail


@pytest.fixture(scope="module")
def seeds(encode_sound, encode_video):
    sounds = [encode_sound(noise(0.7, rate), rate, container, codec) for container, codec, rate in FORMATS]
    moving = np.random.default_rng(3).integers(0, 255, (12, 54, 96, 3), dtype=np.uint8)
    film = {"container": "mp4", "codec": "libx264"}
    sound = noise(0.4, 16_000, channels=1)
    return [
        *sounds,
        encode_video(moving, sound=sound),
        encode_video(moving, **film),
        encode_video(moving, None, "webm", "libvpx-vp9"),
    ]


def test_damaged_files_give_pieces_or_a_content_error(seeds):
    """Cut short, overwritten in the header, overwritten anywhere: a file is decoded or refused, and nothing else happens."""
    damage = random.Random(7)
    for seed in seeds:
        for trial in range(30):
            data = bytearray(seed)
            if trial % 3 == 0:
                del data[damage.randrange(len(data)) :]
            else:
                reach = 200 if trial % 3 == 1 else len(data)
                for _ in range(damage.randint(1, 30)):
                    data[damage.randrange(min(reach, len(data)))] = damage.randrange(256)
            try:
                found = pieces(bytes(data), SPEECH, Loudness(), SHOTS)
            except ContentError:
                continue
            assert all(
                isinstance(piece, AudioClip | LoudnessReading | VideoFrames | MissingStream) for view in found for piece in view
            )
            times_ms = [time for piece in found[2] if isinstance(piece, VideoFrames) for time in piece.times_ms.tolist()]
            assert all(earlier <= later for earlier, later in pairwise(times_ms))


def test_a_damaged_stretch_costs_only_itself(encode_sound):
    """Some packets of rubbish in the middle are skipped; the sound goes on after them."""
    data = bytearray(encode_sound(noise(4.0, 44_100), 44_100, "mp3", "libmp3lame"))
    middle = len(data) // 2
    data[middle : middle + 2_000] = random.Random(5).randbytes(2_000)
    (clips,) = pieces(bytes(data), SPEECH)
    assert 3.0 * 16_000 < joined(clips).shape[1] <= 4.1 * 16_000


def test_a_failing_disk_is_not_the_file_s_fault(encode_sound):
    """An error of the spool file comes out as it is, and blames no content."""

    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 100_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output error"):
        list(decode_container(Broken(encode_sound(noise(9.0, 44_100), 44_100)), frozenset({SPEECH}), Limits()))


def test_a_view_of_pictures_is_a_mistake(encode_sound):
    """A view that sound and video do not have is a bug in a feature, and is said so before any decoding."""
    with pytest.raises(TypeError, match="Picture"):
        pieces(encode_sound(noise(0.1, 16_000), 16_000), Picture(256))


def test_each_error_of_the_decoder_has_a_reason():
    """Whatever class of error FFmpeg's codes become in PyAV, the table has a reason for it."""
    kinds = [kind for kind in vars(av.error).values() if isinstance(kind, type) and issubclass(kind, av.error.FFmpegError)]
    assert len(kinds) > 40
    assert all(any(issubclass(kind, known) for known, _ in _REASONS) for kind in kinds)
