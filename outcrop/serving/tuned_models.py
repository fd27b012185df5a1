"""What the servers are told of tuned models that come and go. None of it has to succeed: a model that no
server has heard of is loaded when it is asked for, and one that is gone is not asked for any more."""

import logging
import time

from botocore.exceptions import BotoCoreError, ClientError

from outcrop import base_models
from outcrop.base_models import BaseModel
from outcrop.errors import APIError
from outcrop.serving import bedrock_import_models, sagemaker_adapters
from outcrop.serving.sagemaker_plan import Plan, plan
from outcrop.settings import settings
from outcrop.types.model import ServedModel

_FINETUNING_TYPE = "method.reinforcement.hyperparameters.finetuning_type"

_logger = logging.getLogger(__name__)


def check(model: BaseModel, *, is_full: bool = False) -> None:
    """`is_full`: whether all weights are to be trained. Raises: APIError when what is trained from `model`
    could not be served by this deployment."""
    if is_full and settings().serving == "sagemaker":
        raise APIError(
            f"{_FINETUNING_TYPE}: 'full' makes a model with weights of its own, and this deployment serves "
            "adapters on the endpoints of base models (`serving` is sagemaker in cdk.json). Leave it out to "
            "train an adapter, or deploy with `serving` bedrock_import or openai_compatible.",
            param=_FINETUNING_TYPE,
            code="model_not_served",
        )
    if settings().serving == "bedrock_import":
        bedrock_import_models.check(model)


def made(model: ServedModel) -> None:
    """Have a server that is awake load the model already, or Bedrock import it."""
    if settings().serving == "bedrock_import":
        return _import(model)
    endpoint = _endpoint(model)
    if endpoint is None or model.adapter_key is None:
        return
    most, now = int(settings().max_adapters), int(time.time())
    try:
        sagemaker_adapters.announce(endpoint, model.adapter_key, now, most=most)
    except (BotoCoreError, ClientError) as error:
        _logger.warning("serving: %s is not loaded yet: %s", model.id, error)


def deleted(model: ServedModel) -> None:
    """Have the server that holds the model let go of it."""
    if settings().serving == "bedrock_import":
        return _delete_imported(model)
    endpoint = _endpoint(model)
    if endpoint is None or model.adapter_key is None:
        return
    try:
        sagemaker_adapters.remove(endpoint, model.adapter_key)
    except (BotoCoreError, ClientError) as error:
        _logger.warning("serving: %s is not unloaded yet: %s", model.id, error)


def _endpoint(model: ServedModel) -> Plan | None:
    """That the model is on, if the deployment has endpoints."""
    entry = base_models.find(model.base_model)
    if settings().serving != "sagemaker" or entry is None or entry.serving is None:
        return None
    return plan(entry, settings())


def _import(model: ServedModel) -> None:
    if not model.merged_key:
        return
    sight = bedrock_import_models.begin(model)
    if sight.state == "failed":
        _logger.warning("serving: %s is not imported yet: %s", model.id, sight.message)


def _delete_imported(model: ServedModel) -> None:
    if not model.merged_key or not model.job_id:
        return
    try:
        bedrock_import_models.delete(model.job_id)
    except (BotoCoreError, ClientError) as error:
        _logger.warning("serving: the imported model of %s is not deleted yet: %s", model.id, error)
