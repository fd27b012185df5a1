"""All there is to reconcile: for `outcrop fsck`, which looks at everything, and for the sweeper, which looks
every quarter of an hour at what costs money or keeps somebody waiting, and repairs that.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from outcrop.operations.reconcile import files, images, jobs, models, runs, served, weights
from outcrop.operations.reconcile.finding import Finding
from outcrop.settings import settings
from outcrop.stores.projects import ProjectStore
from outcrop.stores.refusals import DeploymentError, in_words

_OF_THE_ACCOUNT: dict[str, Callable[[Sequence[str]], Iterator[Finding]]] = {
    "training jobs": runs.of_training_jobs,
    "executions": runs.of_executions,
    "inference components": served.of_components,
    "imported models": served.of_imported_models,
    "base weights": weights.of_revisions,
    "training images": images.of_repositories,
}


@dataclass(frozen=True)
class Repaired:
    finding: Finding
    error: Exception | None = None
    """Why it could not be repaired. It is found again at the next look."""


def projects() -> list[str]:
    names: list[str] = []
    while True:
        page = ProjectStore().list(after=names[-1] if names else None, limit=100)
        names += [project.id for project in page.data]
        if not page.has_more:
            return names


def findings(every: Sequence[str], *, only: Sequence[str] | None = None) -> Iterator[Finding]:
    """Everything that does not agree in the projects, or `only` these, and in the account. What may not be
    looked at is a finding too."""
    for project in only or every:
        for look in (jobs.of_project, files.of_project, models.of_project):
            yield from _looked_at(f"project {project}", lambda look=look, project=project: look(project))
    for name, look in _OF_THE_ACCOUNT.items():
        yield from _looked_at(name, lambda look=look: look(every))


def sweep() -> list[Repaired]:
    """Repair what nobody has to be asked about. One thing that cannot be repaired does not keep others from
    it."""
    found: list[Finding] = []
    names = projects()
    for project in names:
        found += jobs.of_project(project, only_recent=True)
        found += files.of_files_on_their_way(project)
    found += runs.of_training_jobs(names)
    found += images.of_repositories(names)
    if settings().serving == "bedrock_import":
        found += served.of_imported_models(names)
    return [repaired(finding) for finding in found if finding.is_swept]


def repaired(finding: Finding) -> Repaired:
    try:
        if finding.repair:
            finding.repair()
    except Exception as error:  # whatever it is, it is told with what it was about
        return Repaired(finding, error)
    return Repaired(finding)


def _looked_at(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        with in_words():
            found = [*look()]
    except DeploymentError as error:
        yield Finding(what, f"It could not be looked at. {error}")
    else:
        yield from found
