"""What is installed here, what the machine allows, and what each backend lacks, in plain words."""

from trtasync.doctor.report import Report, examine

__all__ = ["Report", "examine"]
