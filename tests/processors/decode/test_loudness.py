"""The loudness meter against the signals of EBU Tech 3341 and 3342, made here by their definitions."""

import io

import av
import numpy as np
import pytest

from processors.decode.av_container import decode_container
from processors.decode.limits import Limits
from processors.decode.loudness import LoudnessMeter
from processors.media import Loudness

RATE = 48_000


def tone(parts, rate=RATE):
    """Stereo sine of 1 kHz, parts: (peak level in dBFS, seconds)."""
    level = np.concatenate([np.full(round(seconds * rate), 10 ** (dbfs / 20)) for dbfs, seconds in parts])
    return np.stack([level * np.sin(2 * np.pi * 1000 * np.arange(len(level)) / rate)] * 2).astype(np.float32)


def measured(samples, rate=RATE, layout="stereo"):
    return metered([(samples, rate, layout)])


def metered(parts):
    meter = LoudnessMeter()
    for samples, rate, layout in parts:
        for start in range(0, samples.shape[1], 65_536):
            part = np.ascontiguousarray(samples[:, start : start + 65_536].T, np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout=layout)
            frame.sample_rate = rate
            assert not list(meter.push(frame))
    (reading,) = meter.finish()
    return reading


INTEGRATED = {
    "1": ([(-23, 20)], -23),
    "2": ([(-33, 20)], -33),
    "3": ([(-36, 10), (-23, 60), (-36, 10)], -23),
    "4": ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),
    "5": ([(-26, 20), (-20, 20.1), (-26, 20)], -23),
}


@pytest.mark.parametrize("case", INTEGRATED)
def test_integrated_loudness(case):
    """EBU Tech 3341, table 1, cases 1 to 5, within 0.1 LU."""
    parts, expected = INTEGRATED[case]
    assert measured(tone(parts)).integrated_lufs == pytest.approx(expected, abs=0.1)


def test_surround_channels_have_their_weights():
    """EBU Tech 3341, case 6: 5.0 at -28, -28, -24, -30, -30 dBFS reads -23 LUFS."""
    left, right, centre, rear_left, rear_right = (tone([(dbfs, 20)])[0] for dbfs in (-28, -28, -24, -30, -30))
    reading = measured(np.stack([left, right, centre, rear_left, rear_right]), layout="5.0")
    assert reading.integrated_lufs == pytest.approx(-23, abs=0.1)


def test_the_low_frequency_channel_does_not_count():
    """A loud LFE channel changes nothing (ITU-R BS.1770-5, annex 1)."""
    left, right, centre, rear_left, rear_right = (tone([(dbfs, 20)])[0] for dbfs in (-28, -28, -24, -30, -30))
    reading = measured(np.stack([left, right, centre, tone([(0, 20)])[0], rear_left, rear_right]), layout="5.1")
    assert reading.integrated_lufs == pytest.approx(-23, abs=0.1)


def test_short_term_maximum():
    """EBU Tech 3341, case 9: short-term loudness is -23 LUFS throughout."""
    assert measured(tone([(-20, 1.34), (-30, 1.66)] * 5)).short_term_max_lufs == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize(
    ("divisor", "degrees", "amplitude", "expected"),
    [(4, 0, 0.5, -6), (4, 45, 0.5, -6), (6, 60, 0.5, -6), (8, 67.5, 0.5, -6), (4, 45, 1.41, 3)],
)
def test_true_peak(divisor, degrees, amplitude, expected):
    """EBU Tech 3341, cases 15 to 19, within +0.2 and -0.4 dB: peaks between the samples are found."""
    phase = 2 * np.pi * np.arange(RATE) / divisor + np.deg2rad(degrees)
    samples = (amplitude * np.sin(phase) * np.minimum(1, np.arange(RATE) / 4800)).astype(np.float32)
    peak = measured(np.stack([samples, samples])).true_peak_dbtp
    assert expected - 0.4 <= peak <= expected + 0.2


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(-20, 20), (-30, 20)], 10),
        ([(-20, 20), (-15, 20)], 5),
        ([(-40, 20), (-20, 20)], 20),
        ([(-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)], 15),
    ],
)
def test_loudness_range(parts, expected):
    """EBU Tech 3342, cases 1 to 4, within 1 LU."""
    assert measured(tone(parts)).range_lu == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_the_file_s_own_rate_will_do(rate):
    """The reading does not depend on the rate."""
    assert measured(tone([(-23, 10)], rate), rate).integrated_lufs == pytest.approx(-23, abs=0.1)


def test_silence_has_no_loudness():
    """Digital silence: all numbers are None, the duration is known."""
    reading = measured(np.zeros((2, 5 * RATE), np.float32))
    found = (reading.integrated_lufs, reading.range_lu, reading.short_term_max_lufs, reading.true_peak_dbtp)
    assert found == (None, None, None, None)
    assert reading.duration_ms == 5000


def test_short_sounds_lack_what_needs_time():
    """0.3 s has a peak only; 2 s has integrated loudness, but no short-term loudness and no range."""
    click, brief = measured(tone([(-20, 0.3)])), measured(tone([(-20, 2)]))
    assert click.integrated_lufs is None
    assert click.true_peak_dbtp == pytest.approx(-20, abs=0.3)
    assert brief.integrated_lufs == pytest.approx(-20, abs=0.1)
    assert brief.short_term_max_lufs is None
    assert brief.range_lu is None


def test_the_last_moment_counts():
    """A click in the last 10 ms of a sound that is no multiple of 100 ms is in the true peak."""
    samples = tone([(-40, 1.234)])
    samples[:, -300] = 0.9
    assert measured(samples).true_peak_dbtp > -2


def test_a_change_of_form_goes_on_in_the_first():
    """Sound that becomes another rate on the way is one sound."""
    parts = [(tone([(-23, 10)]), RATE, "stereo"), (tone([(-23, 10)], 44_100), 44_100, "stereo")]
    reading = metered(parts)
    assert reading.integrated_lufs == pytest.approx(-23, abs=0.1)
    assert reading.duration_ms == 20_000


def test_a_file_is_measured_before_any_downmix(encode_sound):
    """Channels out of phase, whose mean is silence, are as loud as in phase."""
    samples = tone([(-23, 5)])
    samples[1] *= -1
    ((_, reading),) = decode_container(io.BytesIO(encode_sound(samples, RATE)), frozenset({Loudness()}), Limits())
    assert reading.integrated_lufs == pytest.approx(-23, abs=0.1)
