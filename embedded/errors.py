"""What can go wrong with the embedded servers and a person can mend."""

__all__ = ["EmbeddedError"]


class EmbeddedError(Exception):
    """Its text is one sentence for a person: what is wrong, with which value, what to do."""
