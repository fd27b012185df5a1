"""Training images that the deployment builds: each is kept while jobs train with it, and a month longer."""

from collections.abc import Iterator, Sequence

from outcrop.ids import now
from outcrop.lifecycle import is_terminal
from outcrop.operations import training_images
from outcrop.operations.reconcile.finding import Finding
from outcrop.stores import container_images
from outcrop.stores.jobs import JobStore

_UNUSED_SECONDS = training_images.KEPT_DAYS * 24 * 3600


def of_repositories(projects: Sequence[str]) -> Iterator[Finding]:
    for repository in {image.repository for image in training_images.built().values()}:
        unused = [one for one in container_images.every(repository) if now() - one.used_at >= _UNUSED_SECONDS]
        if not unused or _are_in_use(projects):
            continue
        size = sum(one.bytes for one in unused) / 10**9
        images = "1 image" if len(unused) == 1 else f"{len(unused)} images"
        digests = [one.digest for one in unused]
        yield Finding(
            f"repository {repository}",
            f"{images} ({size:.1f} GB) that no job has trained with for {training_images.KEPT_DAYS} days.",
            repair=lambda repository=repository, digests=digests: _put_away(projects, repository, digests),
            mends="They are deleted; the next job waits while the image that it needs is built anew.",
            is_swept=True,
        )


def _put_away(projects: Sequence[str], repository: str, digests: Sequence[str]) -> None:
    """A job that was created since the first look may be about to ask for a machine with it."""
    if not _are_in_use(projects):
        container_images.delete(repository, digests)


def _are_in_use(projects: Sequence[str]) -> bool:
    """Whether a job trains, waits to, or did lately; one that is paused looks for its image when it is
    resumed."""
    jobs = (job for project in projects for job in JobStore(project).every())
    return any(
        now() - max(job.created_at, job.finished_at or 0) < _UNUSED_SECONDS
        or (not is_terminal(job.status) and job.status != "paused")
        for job in jobs
    )
