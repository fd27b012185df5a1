"""The end of a job, told to whoever listens: an EventBridge event, at least once.

Whoever ends a job tells it, and so does every step of the workflow that finds a job ended and not told of,
since whoever ended it may have been lost in between. Who gets it twice tells by `job_id` and `status`.
"""

from outcrop.lifecycle import is_terminal
from outcrop.stores import bus
from outcrop.stores.jobs import JobStore
from outcrop.types.fine_tuning_job import FineTuningJob

DETAIL_TYPE = "Fine-tuning job ended"


def tell(job: FineTuningJob) -> None:
    """Raises: BusError, ClientError; telling again is right."""
    if job.end_told or not is_terminal(job.status):
        return
    bus.tell(
        DETAIL_TYPE,
        {
            "project": job.organization_id,
            "job_id": job.id,
            "status": job.status,
            "fine_tuned_model": job.fine_tuned_model,
            "error_code": job.error.code if job.error else None,
        },
    )
    JobStore(job.organization_id).note_end_told(job.id)
