"""What the pipeline needs of the world, one verb each. Owned here, by the caller; the clients fulfil them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from processors.errors import PermanentError
from processors.signal import Feature, ModelRef, Tensors, Window
from schemas.records import Asset, MediaKind, TextField

__all__ = ["Decode", "Fetch", "Infer", "LocalMedia"]


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """A fetched asset: a private file under a name of ours, its size and sha256 (lower-case hexadecimal)."""

    path: Path
    size_bytes: int
    sha256: str


class Fetch(Protocol):
    """Brings an asset here. The file is gone when the context ends.

    Raises ContentError (refused, too large, changed), HealableError (not found, timed out), InfrastructureError (store away).
    """

    def __call__(self, asset: Asset) -> AbstractAsyncContextManager[LocalMedia]: ...


class Decode(Protocol):
    """Turns media into windows of tensors, in another process; at most a few windows ahead of its reader.

    Windows of one feature come in order; windows of several features interleave. A PermanentError in place of a window is the
    last of its feature; the others go on. Raises PermanentError, ContentError as a rule, for what ends all features at once.
    """

    def __call__(
        self, media: LocalMedia | TextField, kind: MediaKind, features: frozenset[Feature]
    ) -> AsyncIterator[tuple[Feature, Window | PermanentError]]: ...


class Infer(Protocol):
    """Asks a model. tensors and answer: by name, axis 0 the batch; any number of rows.

    Raises InfrastructureError, Overloaded, ModelError.
    """

    async def __call__(self, model: ModelRef, tensors: Tensors) -> Tensors: ...
