"""The only list of signals. To be listed is to be planned, served, documented and tested."""

from processors.signal import Signal
from processors.signals import (
    audio_loudness,
    audio_speech,
    image_faces,
    image_tags,
    text_embedding,
    text_language,
    video_shots,
    video_tags,
)

__all__ = ["SIGNALS"]

SIGNALS: tuple[Signal, ...] = (
    audio_speech.SIGNAL,
    audio_loudness.SIGNAL,
    image_tags.SIGNAL,
    image_faces.SIGNAL,
    video_shots.SIGNAL,
    video_tags.SIGNAL,
    text_embedding.SIGNAL,
    text_language.SIGNAL,
)
