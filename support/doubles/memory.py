"""Memory of the pretended machine: real host memory, poisoned, fenced and checked.

It stays readable when it was freed, so that a use after free is detected and does not crash.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from support.doubles.streams import Refused, Scheduler

Bytes = npt.NDArray[np.uint8]

FRESH, FREED = 0xA5, 0xDD
"""What memory holds when it is new, and when it was given back."""
ALIGNMENT = 512
"""Of every address, as from cudaMalloc; also the width of the fence around each block."""
HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE = 1, 2, 3
"""Of `cudaMemcpyKind`."""


@dataclass
class Allocation:
    """One block of memory, pinned or on the device.

    Attributes:
        memory: with the fence around it.
        registered: it is foreign memory, locked for the devices.
    """

    address: int
    size: int
    pinned: bool
    memory: Bytes
    device: int
    registered: bool = False

    def holds(self, address: int, size: int) -> bool:
        """Whether a range lies in it."""
        return self.address <= address and address + size <= self.address + self.size

    def is_fenced(self) -> bool:
        """Whether nothing was written just before or after it."""
        start = self.address - int(self.memory.ctypes.data)
        fence = (self.memory[:start], self.memory[start + self.size :])
        return all(bool((part == FRESH).all()) for part in fence)


class Memory(Scheduler):
    """Allocations.

    Attributes:
        capacity: bytes of one device.
        allocations: live ones, by address.
        freed: those given back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.capacity = 1 << 34
        self.allocations: dict[int, Allocation] = {}
        self.freed: list[Allocation] = []

    def live_bytes(self, pinned: bool, device: int | None = None) -> int:
        """Bytes allocated now, of pinned memory or of device memory (of all devices, or of one)."""
        with self.condition:
            blocks = list(self.allocations.values())
        return sum(
            block.size
            for block in blocks
            if block.pinned is pinned and device in (None, block.device)
        )

    def free_bytes(self, device: int = 0) -> int:
        """Of the memory of a device."""
        return self.capacity - self.live_bytes(False, device)

    @property
    def pinned_bytes(self) -> int:
        """Allocated now."""
        return self.live_bytes(pinned=True)

    @property
    def device_bytes(self) -> int:
        """Allocated now, on all devices."""
        return self.live_bytes(pinned=False)

    def allocate(self, size: int, pinned: bool, device: int) -> int:
        """Poisoned memory; its address."""
        if not pinned and size > self.free_bytes(device):
            raise Refused("cudaErrorMemoryAllocation")
        raw = np.empty(size + 2 * ALIGNMENT, np.uint8)
        raw[:] = FRESH
        address = int(raw.ctypes.data) + -int(raw.ctypes.data) % ALIGNMENT
        with self.condition:
            self.allocations[address] = Allocation(address, size, pinned, raw, device)
        return address

    def free(self, address: int, pinned: bool) -> None:
        """Give memory back; waits for the streams first, as CUDA does."""
        self.wait_all()
        with self.condition:
            block = self.allocations.get(int(address))
            if block is not None and (block.pinned, block.registered) != (pinned, False):
                block = None
            if block is not None:
                del self.allocations[block.address]
                self.freed.append(block)
        if block is None:
            self.violations.append(f"free of {int(address):#x}, which is no such allocation")
            raise Refused("cudaErrorInvalidValue")
        if not block.is_fenced():
            self.violations.append(f"something wrote beside the block {block.address:#x}")
        block.memory[:] = FREED

    def register(self, address: int, size: int, device: int) -> None:
        """Lock memory that was allocated elsewhere."""
        if not size:
            raise Refused("cudaErrorInvalidValue")
        with self.condition:
            for block in self.allocations.values():
                if address < block.address + block.size and block.address < address + size:
                    raise Refused("cudaErrorHostMemoryAlreadyRegistered")
            raw: Any = (ctypes.c_uint8 * size).from_address(address)
            memory = np.frombuffer(raw, np.uint8)
            self.allocations[address] = Allocation(address, size, True, memory, device, True)

    def unregister(self, address: int) -> None:
        """It is ordinary memory again."""
        with self.condition:
            block = self.allocations.get(address)
            if block is None or not block.registered:
                self.violations.append(f"{address:#x} is unregistered, and was not registered")
                raise Refused("cudaErrorHostMemoryNotRegistered")
            del self.allocations[address]

    def find(self, address: int, size: int) -> Allocation | None:
        """The live block that holds this range."""
        with self.condition:
            for block in self.allocations.values():
                if block.holds(address, size):
                    return block
        return None

    def check_range(self, address: int, size: int, what: str) -> bool:
        """Record a use of memory that is not (or no longer) allocated; False then."""
        if not size or self.find(address, size) is not None:
            return True
        with self.condition:
            gone = any(block.holds(address, size) for block in self.freed)
        why = "was freed" if gone else "is not allocated"
        self.violations.append(f"{what} touches {address:#x} + {size}, which {why}")
        return False

    def check_direction(self, target: int, source: int, size: int, kind: int) -> None:
        """Refuse a copy whose source or target is not where its kind says."""
        sides = (self.find(target, size), self.find(source, size))
        if None in sides or kind not in (HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE):
            return  # unallocated memory is recorded when the copy runs
        pinned = tuple(side.pinned for side in sides if side is not None)
        if pinned != (kind == DEVICE_TO_HOST, kind == HOST_TO_DEVICE):
            raise Refused("cudaErrorInvalidMemcpyDirection")

    def copy(self, target: int, source: int, size: int) -> None:
        """Runs when the stream gets here: it reads what is there then.

        Both sides must be pinned or device memory: pageable memory would make the real copy
        synchronous, or end a capture.
        """
        readable = self.check_range(source, size, "a copy's source")
        if not self.check_range(target, size, "a copy's target"):
            return  # it may no longer be mapped
        if readable:
            ctypes.memmove(target, source, size)
        else:
            ctypes.memset(target, FREED, size)

    def fill(self, target: int, value: int, size: int) -> None:
        """Runs when the stream gets here."""
        if self.check_range(target, size, "a memset"):
            ctypes.memset(target, value, size)
