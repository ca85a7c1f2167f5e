"""A host for tests of the client: a thread that answers by numpy, and keeps what was said to it."""

import array
import os
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import trtasync
from trtasync.errors import TrtasyncError
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.rows import Judgement
from trtasync.shared.arena import map_sealed
from trtasync.shared.forms import Places, place
from trtasync.shared.greeting import Welcome, tell, tell_judgement, tell_spec
from trtasync.shared.records import Op, Record, Splitter, dump, pack, parse
from trtasync.shared.refusals import describe

Array = npt.NDArray[Any]
Compute = Callable[..., Sequence[Array]]
"""From the arrays of one request to its answer."""

NAME = "peer"


class WirePeer:
    """Listens at a path, one client after another, or several.

    Attributes:
        path: of the socket.
        heard: all records, of all clients.
        gate: requests are answered while it is set, the others afterwards, in order.
        hint: bytes that answers are said to need.
        refusal: what a form is refused with, if at all.
        version: that it claims to be of.
    """

    def __init__(
        self,
        path: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        compute: Compute,
        most_bytes: int = 0,
    ):
        self.path = path
        self.spec = ModelSpec.from_tensors(inputs, outputs)
        self.compute = compute
        self.most_bytes = most_bytes
        self.heard: list[Record] = []
        self.gate = threading.Event()
        self.gate.set()
        self.hint = 0
        self.refusal: TrtasyncError | None = None
        self.version = trtasync.__version__
        self.clients: list[_Client] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(os.fspath(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, name="wire peer")]
        self._threads[0].start()

    def said(self, op: Op) -> list[Record]:
        """The records of one kind."""
        return [record for record in self.heard if record.op == op]

    def kill(self) -> None:
        """End as a killed process does: all at once and without a word."""
        for client in list(self.clients):
            client.end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.gate.set()
        self.kill()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        self._listener.close()
        self.path.unlink()

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            client = _Client(self, end)
            self.clients.append(client)
            thread = threading.Thread(target=client.serve, name="wire peer client")
            self._threads.append(thread)
            thread.start()


class _Client:
    """One connection: a blocking loop; what waits for the gate is kept."""

    def __init__(self, peer: WirePeer, end: socket.socket):
        self.peer = peer
        self.end = end
        self.slots: dict[int, tuple[Array, int]] = {}
        self.files: list[int] = []
        self.forms: dict[int, Places] = {}
        self.answers: dict[Any, int] = {}
        self.sources: list[Record] = []
        self.waiting: list[tuple[Record, list[Record]]] = []
        self.large: dict[int, list[Array]] = {}

    def serve(self) -> None:
        splitter = Splitter()
        self.end.settimeout(0.01)
        with self.end:
            while True:
                try:
                    data, control, _, _ = self.end.recvmsg(1 << 16, 4096)
                except TimeoutError:
                    self._answer_waiting()
                    continue
                except OSError:
                    break
                if not data:
                    break
                for _, _, files in control:
                    some = array.array("i")
                    some.frombytes(files)
                    self.files += some
                try:
                    for record, payload in splitter.split(data):
                        self.peer.heard.append(record)
                        self._act(record, payload)
                    self._answer_waiting()
                except OSError:
                    break
            self.peer.clients.remove(self)

    def say(self, op: Op, slot: int = 0, generation: int = 0, **fields: Any) -> None:
        self.end.sendall(pack(op, slot, generation, **fields))

    def _act(self, record: Record, payload: bytes) -> None:
        if record.op == Op.HELLO:
            self._welcome()
        elif record.op == Op.MEMORY:
            file = self.files.pop(0)
            memory = map_sealed(file, record.number * record.other)
            os.close(file)
            for at in range(record.number):
                self.slots[record.slot + at] = (memory, at * record.other)
            self.size = record.other
            self.say(Op.MAPPED, record.slot, number=record.number)
        elif record.op == Op.FORM:
            self._form(record, parse(payload))
        elif record.op == Op.SOURCE:
            self.sources.append(record)
        elif record.op == Op.INFER:
            self.waiting.append((record, self.sources))
            self.sources = []
        elif record.op == Op.CANCEL:
            self._cancel(record)
        elif record.op == Op.ASK:
            self.say(Op.TOLD, payload=dump({"models": {}}))
        elif record.op == Op.TAKE:
            memory, start = self.slots[record.number]
            answer = self.large.pop(record.slot)
            self._write(answer, memory, start)
            self.say(Op.DONE, record.slot, record.generation)

    def _welcome(self) -> None:
        peer = self.peer
        welcome = Welcome(
            peer.version,
            os.getpid(),
            (NAME,),
            NAME,
            tell_spec(peer.spec),
            tell_judgement(Judgement(True, "a peer's")),
            peer.most_bytes,
        )
        self.say(Op.WELCOME, payload=dump(tell(welcome)))

    def _form(self, record: Record, told: dict[str, Any]) -> None:
        if self.peer.refusal is not None:
            payload = dump(describe(self.peer.refusal))
            self.say(Op.FORMED, form=record.form, payload=payload)
            return
        shapes = [tuple(shape) for shape in told["shapes"]]
        self.forms[record.form] = place(shapes, [each.dtype for each in self.peer.spec.inputs])
        self.say(Op.FORMED, form=record.form, number=self.peer.hint)

    def _answer_waiting(self) -> None:
        while self.waiting and self.peer.gate.is_set():
            self._infer(*self.waiting.pop(0))

    def _infer(self, record: Record, sources: list[Record]) -> None:
        memory, start = self.slots[record.slot]
        places, behind = self.forms[record.form], 0
        if sources:
            arrays = []
            for source, each in zip(sources, places.each, strict=True):
                other, at = self.slots[source.number]
                begin = at + source.other
                arrays.append(other[begin : begin + each.size].view(each.dtype).reshape(each.shape))
        else:
            arrays, behind = places.views(memory, start), places.size
        try:
            answer = list(self.peer.compute(*arrays))
        except TrtasyncError as error:
            payload = dump(describe(error))
            self.say(Op.FAILED, record.slot, record.generation, payload=payload)
            return
        size = place([each.shape for each in answer], [each.dtype for each in answer]).size
        if behind + size > self._room(record.slot):
            self.large[record.slot] = answer
            payload = dump({"shapes": [each.shape for each in answer]})
            self.say(Op.LARGE, record.slot, record.generation, number=size, payload=payload)
            return
        self._write(answer, memory, start + behind)
        number = self._number(tuple(each.shape for each in answer))
        self.say(Op.DONE, record.slot, record.generation, form=number)

    def _room(self, slot: int) -> int:
        memory, start = self.slots[slot]
        ends = [at for other, at in self.slots.values() if other is memory and at > start]
        return min(ends, default=len(memory)) - start

    def _write(self, answer: list[Array], memory: Array, start: int) -> None:
        places = place([each.shape for each in answer], [each.dtype for each in answer])
        for target, each in zip(places.views(memory, start), answer, strict=True):
            np.copyto(target, each)

    def _number(self, shapes: tuple[Any, ...]) -> int:
        if shapes not in self.answers:
            self.answers[shapes] = len(self.answers)
            self.say(Op.ANSWERS, form=self.answers[shapes], payload=dump({"shapes": shapes}))
        return self.answers[shapes]

    def _cancel(self, record: Record) -> None:
        waiting = [each for each in self.waiting if each[0].slot == record.slot]
        if waiting:
            self.waiting.remove(waiting[0])
        elif self.large.pop(record.slot, None) is None:
            return
        self.say(Op.CANCELLED, record.slot, record.generation)
