"""The benchmark behind `trtasync bench`, for use from Python: `run` gives a `Report`.

report = trtasync.bench.run("model.onnx", Settings(loads=[Closed(64), Open(2000.0)]))
print(report.points[0].median("requests_per_second"))
"""

from trtasync.bench.inputs import Inputs
from trtasync.bench.loads import Closed, Load, Open
from trtasync.bench.plot import plot
from trtasync.bench.report import Point, Report
from trtasync.bench.runs import Benchmark, run
from trtasync.bench.samples import Sample
from trtasync.bench.settings import Progress, Settings
from trtasync.bench.trace import Recorder

__all__ = [
    "Benchmark",
    "Closed",
    "Inputs",
    "Load",
    "Open",
    "Point",
    "Progress",
    "Recorder",
    "Report",
    "Sample",
    "Settings",
    "plot",
    "run",
]
