"""A job and the container image that it trains in: it waits while one that was put away is built anew."""

from outcrop.base_models import BaseModel
from outcrop.ids import now
from outcrop.operations import machines, training_images
from outcrop.operations.job_events import say
from outcrop.operations.job_weights import Outlook
from outcrop.operations.training_images import BuiltImage
from outcrop.stores import image_builds
from outcrop.stores.container_images import has_image
from outcrop.stores.events import EventStore
from outcrop.stores.image_builds import BuildRefusedError
from outcrop.types.fine_tuning_job import FineTuningJob

_WAITING = "The training image is being built anew"


def look(job: FineTuningJob, model: BaseModel) -> Outlook | None:
    """None if the image is there, or is not the deployment's to build; else it is being built, or this job
    has seen that fail.

    A build that failed before this job waited for it says nothing about the next one, which then begins.
    """
    image = training_images.built().get(training_images.uri(machines.instance_count(model.id)))
    if image is None:
        return None
    events = EventStore(job.organization_id, job.id).list(limit=20).data
    waits = {event.message: event.created_at for event in events if event.message.startswith(_WAITING)}
    if has_image(image.repository, image.tag):
        return _is_there(job, waits)
    build = image_builds.newest(image.project, image.tag)
    build_id = build.id if build else ""
    if build is None or build.is_over:
        if has_image(image.repository, image.tag):  # since the first look
            return _is_there(job, waits)
        if build and build.status != "SUCCEEDED" and _waiting(build.id) in waits:
            return Outlook(problem=f"The training image could not be built anew. {build.ending}")
        try:
            build_id = _start(image, build_id)
        except BuildRefusedError as error:
            return Outlook(problem=f"The training image is not there, and is not built anew. {error}")
    message = _waiting(build_id)
    if message not in waits:
        say(job, message)
    return Outlook(max(0, now() - waits.get(message, now())))


def _start(image: BuiltImage, newest: str) -> str:
    """Whoever starts the build after the same one starts the same build. Its id.

    Raises: BuildRefusedError.
    """
    tag = image_builds.tag_of(image.project)
    if tag != image.tag:  # its sources are of another release than the workflow
        raise BuildRefusedError(
            f"CodeBuild makes the tag {tag} by now, and jobs here train with {image.tag}: a deployment goes "
            "on, or was broken off. Deploy to the end (make deploy ARGS=--all), then create the job again."
        )
    return image_builds.start(image.project, f"{image.tag}-after-{newest.rpartition(':')[2]}", {})


def _is_there(job: FineTuningJob, waits: dict[str, int]) -> None:
    if waits:
        say(job, "The training image is there")


def _waiting(build: str) -> str:
    return (
        f"{_WAITING}, which takes about {training_images.BUILD_MINUTES}: it is put away when no job has been "
        f"trained for {training_images.KEPT_DAYS} days (build {build})"
    )
