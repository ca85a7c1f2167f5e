"""Memory that a client shares with its host, in slots.

A segment is an anonymous file (`memfd_create`) of slots of one size. Its size is sealed before the
host maps it, so neither side can shrink it during the other's copy, which would be a SIGBUS. A
forked child does not get the mapping, since it could write into its parent's requests.
"""

import fcntl
import mmap
import os
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from trtasync.errors import BackendUnavailable
from trtasync.model.arrays import Array

SEALS: int = (
    0
    if not hasattr(fcntl, "F_SEAL_SEAL")
    else (fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
)

_KEEPING: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
"""A mapping needs no descriptor; older Pythons keep one as long as it is there."""

FIRST_SLOTS, FIRST_BYTES = 64, 4 << 20
"""The first segment of a size has so many slots, or as few as make up so many bytes."""

LEAST_SLOTS = 4
"""Of a segment, however large they are."""

MOST_SLOTS = 1 << 17
"""Of one client. The host keeps books of them, of a kilobyte for each that was used."""


def size_class(wanted: int) -> int:
    """Bytes of a slot for `wanted`: a power of two, or three quarters of one.

    This keeps sizes few, and at most a third of a slot unused. All are whole cache lines.
    """
    wanted = max(128, wanted)
    power = 1 << (wanted - 1).bit_length()
    return 3 * power // 4 if wanted <= 3 * power // 4 else power


@dataclass(slots=True)
class Segment:
    """Some slots of one size.

    Attributes:
        descriptor: of the file.
        first: number of the first slot.
        slot_bytes: bytes of each slot.
        slots: the number of slots.
        memory: all of it, as bytes.
    """

    descriptor: int
    first: int
    slot_bytes: int
    slots: int
    memory: Array


def make_segment(first: int, slot_bytes: int, slots: int) -> Segment:
    """Create memory for this many slots, with its size sealed.

    Raises:
        BackendUnavailable: this system has no such files.
        OSError: there is no memory, or no descriptor.
    """
    if not SEALS or not hasattr(os, "memfd_create"):
        raise BackendUnavailable(
            "shared=True needs Linux (memfd_create with seals); leave it out, and each process has "
            "an engine of its own."
        )
    size = -(-slot_bytes * slots // mmap.PAGESIZE) * mmap.PAGESIZE
    descriptor = os.memfd_create("trtasync", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
        return Segment(descriptor, first, slot_bytes, slots, map_file(descriptor, size))
    except BaseException:
        os.close(descriptor)
        raise


def map_file(descriptor: int, size: int) -> Array:
    """Map the file as bytes; it is unmapped when the last view is gone.

    Raises:
        OSError: there is no room.
    """
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    mapping = mmap.mmap(descriptor, size, mmap.MAP_SHARED, protection, **_KEEPING)
    mapping.madvise(mmap.MADV_DONTFORK)
    return np.frombuffer(mapping, np.uint8)


def map_sealed(descriptor: int, size: int) -> Array:
    """Map a file from another process, if it cannot shrink.

    Raises:
        ValueError: it is smaller than announced, or not sealed.
        OSError: it is not such a file, or there is no room.
    """
    if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & SEALS != SEALS:
        raise ValueError("memory must be sealed: its size could change.")
    found = os.fstat(descriptor).st_size
    if found < size:
        raise ValueError(f"memory of {size} bytes was announced, but it has {found}.")
    return map_file(descriptor, size)
