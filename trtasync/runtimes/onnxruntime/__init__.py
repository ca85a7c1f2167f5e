"""The embedded default: ONNX Runtime's CPU provider. One session, N lanes, batches in slots.

Facts behind the choices (all measured, see docs/onnxruntime.md):
one session is shared by all lanes, because further sessions add their weights and gain nothing;
spinning worker threads are switched off, because they burn a core beside an idle engine;
telemetry is switched off, because it starts a thread and opens a database at import.
"""

from trtasync.runtimes.onnxruntime.loading import load

__all__ = ["load"]
