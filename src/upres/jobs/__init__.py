"""Many pictures: which files, where to, side by side; one that fails does not stop the rest."""

from upres.jobs.files import Job, collect
from upres.jobs.run import Result, check_effort_map, run

__all__ = ["Job", "Result", "check_effort_map", "collect", "run"]
