"""Reports on a model file: an `.onnx` file on any machine, a plan where it can run."""

from trtasync.inspection.check_report import CheckReport, OutputCheck
from trtasync.inspection.checking import check_model
from trtasync.inspection.header_report import HeaderReport, inspect_header
from trtasync.inspection.onnx_report import OnnxReport, inspect_onnx
from trtasync.inspection.plan_report import PlannedMemory, PlanReport, inspect_plan
from trtasync.inspection.tensors import TensorReport

__all__ = [
    "CheckReport",
    "HeaderReport",
    "OnnxReport",
    "OutputCheck",
    "PlanReport",
    "PlannedMemory",
    "TensorReport",
    "check_model",
    "inspect_header",
    "inspect_onnx",
    "inspect_plan",
]
