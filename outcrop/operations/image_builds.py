"""Container images as a custom resource of CloudFormation: an image is there, or it is built.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
"""

import json
from typing import Any

from outcrop.stores import container_images, image_builds, stack_answers

_REQUEST = "OUTCROP_REQUEST"
"""The build's variable that says which request it answers."""
_LONGEST_REASON = 2000
_ANSWERED_WITH = ("StackId", "RequestId", "LogicalResourceId")


def begin(request: dict[str, Any]) -> None:
    """Start the build that an image of CloudFormation's request needs, or answer that it is there.

    Deleting one deletes nothing: images go by the repository's own rule, or with the repository.
    """
    try:
        wanted = request["ResourceProperties"]
        if request["RequestType"] == "Delete" or _is_there(wanted):
            _answer(request, "")
            return
        carried = {name: request[name] for name in ("ResponseURL", *_ANSWERED_WITH)}
        carried["ResourceProperties"] = {name: wanted[name] for name in ("Project", "Repository", "Tag")}
        image_builds.start(wanted["Project"], request["RequestId"], {_REQUEST: json.dumps(carried)})
    except Exception as error:
        # CloudFormation would wait an hour for an answer.
        _answer(request, f"The build of the image could not be started: {type(error).__name__}: {error}")
        raise


def finish(build_id: str) -> None:
    """Answer the request that the build was for. What counts is the image: two builds of one tag may meet."""
    build = image_builds.describe(build_id)
    if _REQUEST not in build.variables:
        return  # somebody else's: of a job that waits for the image (job_image), or started by hand
    request = json.loads(build.variables[_REQUEST])
    wanted = request["ResourceProperties"]
    _answer(request, "" if _is_there(wanted) else build.ending)


def _is_there(wanted: dict[str, Any]) -> bool:
    return container_images.has_image(wanted["Repository"], wanted["Tag"])


def _answer(request: dict[str, Any], failure: str) -> None:
    """The image's tag is the resource's id, so that CloudFormation takes another tag for another resource."""
    tag = request["ResourceProperties"].get("Tag", "none")
    answer = {
        "Status": "FAILED" if failure else "SUCCESS",
        "Reason": failure[:_LONGEST_REASON],
        "PhysicalResourceId": request.get("PhysicalResourceId", tag)
        if request.get("RequestType") == "Delete"
        else tag,
        **{name: request[name] for name in _ANSWERED_WITH},
    }
    stack_answers.send(request["ResponseURL"], json.dumps(answer).encode())
