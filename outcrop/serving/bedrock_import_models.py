"""Tuned models in Amazon Bedrock: imported once, by whoever comes first, and looked at by whoever asks.

A model has the name of its fine-tuning job, and so has its import job: AWS itself refuses a second one. One
that failed is tried again, as `NAME-2` and `NAME-3`, by whoever asks an hour later or more; then it is for
whoever mends it to import the weights under the same name, and with the same tag, by hand.
"""

import logging
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from outcrop.base_models import BaseModel
from outcrop.serving import bedrock_import_limits
from outcrop.serving.bedrock_import_limits import QUOTA, USUAL_QUOTA
from outcrop.settings import settings
from outcrop.stores.clients import client
from outcrop.stores.failures import will_pass
from outcrop.stores.serving import Sight
from outcrop.types.model import ServedModel

TAG = {"key": "outcrop", "value": "model"}
"""By which roles may use imported models: their ARNs are made up by AWS."""
_MISSING = "ResourceNotFoundException"
_ANOTHER_WAS_FIRST = "ConflictException"
_FULL = "ServiceQuotaExceededException"
_SEEN_AFTER_SECONDS = 300
_TRIES = 3
_TRIED_AGAIN_AFTER_SECONDS = 3600

_logger = logging.getLogger(__name__)


def name(job_id: str) -> str:
    """Of the imported model, of its first import job, and of that one's token."""
    return f"outcrop-{job_id}"


def _names_of_tries(model: ServedModel) -> list[str]:
    """Of the import jobs, each the token too."""
    first = name(model.job_id or "")
    return [first, *(f"{first}-{number}" for number in range(2, _TRIES + 1))]


class Import(Sight):
    arn: str = ""
    """Of the imported model, when it is ready."""


def look(model: ServedModel, now: float) -> Import:
    """How far the model is; its import begins if it has not."""
    try:
        return _look(model, now)
    except (BotoCoreError, ClientError) as error:
        return _in_words(error)


def begin(model: ServedModel) -> Import:
    """Have Bedrock import the merged weights; success too if somebody else has begun it."""
    try:
        return _begin(model, name(model.job_id or ""))
    except (BotoCoreError, ClientError) as error:
        return _in_words(error)


def delete(job_id: str) -> None:
    """Deleting what is not there is success."""
    if found := _get("get_imported_model", modelIdentifier=name(job_id)):
        _get("delete_imported_model", modelIdentifier=found["modelArn"])


def check(model: BaseModel) -> None:
    """Raises: APIError when a tuned version of `model` could not be imported here, or not any more."""
    bedrock = client("bedrock")
    bedrock_import_limits.check(model, bedrock.meta.region_name)
    there = bedrock.list_imported_models(maxResults=1000).get("modelSummaries", ())
    bedrock_import_limits.check_room(len(there), _quota())


def _look(model: ServedModel, now: float) -> Import:
    named = name(model.job_id or "")
    if found := _get("get_imported_model", modelIdentifier=named):
        return Import(state="ready", arn=found["modelArn"])
    tries = _names_of_tries(model)
    for job_name in tries:
        job = _get("get_model_import_job", jobIdentifier=job_name)
        if job is None:
            return _begin(model, job_name)
        if job_name == tries[-1] or not _is_tried_again(job, now):
            return _told(model, job_name, job, now)
    raise AssertionError("There is a last try.")


def _is_tried_again(job: dict[str, Any], now: float) -> bool:
    return job["status"] == "Failed" and now > job["endTime"].timestamp() + _TRIED_AGAIN_AFTER_SECONDS


def _told(model: ServedModel, job_name: str, job: dict[str, Any], now: float) -> Import:
    """What the latest import job means."""
    named, weights = name(model.job_id or ""), f"s3://{settings().bucket}/{model.merged_key}"
    by_hand = f"Import {weights} again under the name {named}, with the tag {TAG['key']}={TAG['value']}."
    if job["status"] == "Failed":
        why = job.get("failureMessage") or "Amazon Bedrock gives no reason."
        is_last = job_name == _names_of_tries(model)[-1]
        then = by_hand if is_last else "Ask again in an hour: it is then imported anew."
        return _failed(f"The model's import {job_name} has failed: {why} {then}")
    # What is completed may take a moment to be seen; what has long been was deleted.
    if job["status"] == "Completed" and now > job["endTime"].timestamp() + _SEEN_AFTER_SECONDS:
        return _failed(f"The imported model {named} was deleted from Amazon Bedrock. {by_hand}")
    return Import(state="waiting", message="Amazon Bedrock is importing it, for about a quarter of an hour.")


def _begin(model: ServedModel, job_name: str) -> Import:
    try:
        client("bedrock").create_model_import_job(
            jobName=job_name,
            importedModelName=name(model.job_id or ""),
            clientRequestToken=job_name,
            roleArn=settings().import_role_arn,
            modelDataSource={"s3DataSource": {"s3Uri": f"s3://{settings().bucket}/{model.merged_key}"}},
            jobTags=[TAG],
            importedModelTags=[TAG],
        )
    except ClientError as error:
        if _code(error) != _ANOTHER_WAS_FIRST:
            raise
    return Import(state="waiting", message="Amazon Bedrock begins to import it.")


def _in_words(error: BotoCoreError | ClientError) -> Import:
    if will_pass(error):
        return Import(state="waiting", message="Amazon Bedrock is busy.")
    _logger.warning("serving: %s", error)
    refused = f"Amazon Bedrock refuses the deployment itself ({error})."
    if isinstance(error, ClientError) and _code(error) == _FULL:
        refused = (
            f"The account has no room for another imported model (quota {QUOTA} of the service bedrock). "
            "Delete one, or ask for more in Service Quotas; then ask again."
        )
    return _failed(refused)


def _failed(message: str) -> Import:
    return Import(state="failed", message=message, should_retry=False)


def _quota() -> int:
    try:
        quota = client("service-quotas").get_service_quota(ServiceCode="bedrock", QuotaCode=QUOTA)
        return int(quota["Quota"]["Value"])
    except (ClientError, BotoCoreError):  # it is Bedrock's to refuse; this is a warning beforehand
        return USUAL_QUOTA


def _get(operation: str, **asked: str) -> dict[str, Any] | None:
    """The answer to a call about one thing; None if it is not there."""
    try:
        return getattr(client("bedrock"), operation)(**asked)
    except ClientError as error:
        if _code(error) != _MISSING:
            raise
        return None


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
