"""Studies: many training runs as a few compiled programs, compared over seeds."""

from steepest.study.result import StudyResult
from steepest.study.study import Study

__all__ = ["Study", "StudyResult"]
