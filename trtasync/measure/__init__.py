"""The benchmark behind `trtasync bench`, for use from Python: `run` returns a `Report`.

report = trtasync.measure.run("model.onnx", Settings(loads=[Closed(64), Open(2000.0)]))
print(report.points[0].median("requests_per_second"))
"""

from trtasync.measure.inputs import Inputs
from trtasync.measure.loads import Closed, Load, Open
from trtasync.measure.plot import plot
from trtasync.measure.report import Point, Report
from trtasync.measure.runs import Benchmark, run
from trtasync.measure.samples import Sample
from trtasync.measure.settings import Progress, Settings
from trtasync.measure.trace import Recorder

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
