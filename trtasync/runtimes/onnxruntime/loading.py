"""Opens an ONNX model in a session, or says why it cannot be opened."""

import os
from pathlib import Path
from typing import Any

from trtasync.errors import BackendUnavailable, InvalidInput, PlanError
from trtasync.model.foreign import HEAD_BYTES, head_of, not_onnx
from trtasync.model.tensors import ModelSpec
from trtasync.runtimes.onnxruntime.backend import OnnxRuntimeBackend
from trtasync.runtimes.onnxruntime.specs import tensor_spec
from trtasync.system.cores import cores
from trtasync.system.free_threads import free_threads

MOST_THREADS = 4096
"""Of a run: no machine has more cores, and each takes memory."""

WITHOUT_GRAPH = ("No graph was found", "does not have a graph")
"""ONNX Runtime's words about a protobuf that is no model: today's, and 1.21's about a file."""


def load(model: Path | bytes, threads: int) -> OnnxRuntimeBackend:
    """Open an ONNX model.

    Args:
        model: the file, with external weights beside it, or its content.
        threads: threads per run, the calling one included; 0 for one per core.

    Raises:
        BackendUnavailable: onnxruntime is not installed.
        InvalidInput: there are too many threads, or they could not all be started.
        PlanError: the file cannot be read, or has inputs or outputs that are not numeric tensors.
    """
    runtime = import_runtime()
    _demand_threads(threads or cores())
    if isinstance(model, Path) and not os.path.isfile(model):
        raise PlanError(f"{model} is not a file; give the path of an .onnx model.")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # errors are raised as exceptions; do not print them as well
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        given = model if isinstance(model, bytes) else str(model)
        session = runtime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        inputs = [tensor_spec(node, "input") for node in session.get_inputs()]
        outputs = [tensor_spec(node, "output") for node in session.get_outputs()]
    except PlanError:
        raise
    except Exception as error:  # the runtime's exceptions share no base class
        raise PlanError(_refusal(model, error)) from error
    return OnnxRuntimeBackend(runtime, session, ModelSpec.from_tensors(inputs, outputs))


def _refusal(model: Path | bytes, error: Exception) -> str:
    """Why it cannot be opened: in the runtime's words only if it is an ONNX model at all."""
    shown = f"the given content ({len(model)} bytes)" if isinstance(model, bytes) else str(model)
    if type(error).__name__ == "InvalidProtobuf":
        why = "its encoding is broken"
    elif any(words in str(error) for words in WITHOUT_GRAPH):
        why = "it holds no graph"
    else:
        return f"ONNX Runtime cannot read {shown}: {error}"
    head = model[:HEAD_BYTES] if isinstance(model, bytes) else head_of(model)
    return not_onnx(shown, head, why)


def _demand_threads(threads: int) -> None:
    """Refuse what the system would: ONNX Runtime waits forever for a thread that never starts."""
    free = free_threads()
    most = MOST_THREADS if free is None else min(MOST_THREADS, 1 + free)  # one is the caller's
    if threads > most:
        short = (
            ""
            if most == MOST_THREADS
            else (
                ", for the system lets this process start no more; raise its limit (ulimit -v, "
                "ulimit -u, pids.max), or give fewer"
            )
        )
        raise InvalidInput(
            f"threads must be at most {most}, not {threads}{short}.",
            name="threads",
            expected=most,
            got=threads,
        )


def import_runtime() -> Any:
    """Import onnxruntime with its telemetry off: the variable only matters at the first import."""
    name = "ORT_DISABLE_TELEMETRY"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable(
            f"the CPU backend needs onnxruntime: pip install 'trtasync[cpu]' ({error})."
        ) from error
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
    onnxruntime.disable_telemetry_events()  # in case it had already been imported
    return onnxruntime
