"""The tuning behind `trtasync tune`, for use from Python: `run` gives a `Report`.

report = trtasync.tune.run("model.onnx", Settings(p99=0.020))
print(report.call)
"""

from trtasync.tune.choice import Nearest, Recommendation, Standing
from trtasync.tune.plot import plot
from trtasync.tune.probes import Aim, Outcome, Probe, Result
from trtasync.tune.report import CurvePoint, Report
from trtasync.tune.runs import Tuning, run
from trtasync.tune.search import Search
from trtasync.tune.settings import Progress, Settings
from trtasync.tune.space import Config, Space
from trtasync.tune.subject import Subject

__all__ = [
    "Aim",
    "Config",
    "CurvePoint",
    "Nearest",
    "Outcome",
    "Probe",
    "Progress",
    "Recommendation",
    "Report",
    "Result",
    "Search",
    "Settings",
    "Space",
    "Standing",
    "Subject",
    "Tuning",
    "plot",
    "run",
]
