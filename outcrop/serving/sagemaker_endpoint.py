"""The endpoint of a base model, from nothing to answering and back to sleep, one step at each look.

Nothing here waits. A look describes what there is and does the one thing that is next; that it may be done
by several at once, or again after a reply was lost, changes nothing. What has failed is taken away at once,
since it would go on costing, and made anew for whoever asks next.

endpoint:   (none) ─> Creating ─> InService ─> ...           Failed ─> taken away
component:            (none) ─> Creating ─> InService, copies: 1 ─> 0 (asleep) ─> 1
"""

import logging
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from outcrop.serving import sagemaker_api as api
from outcrop.serving.sagemaker_api import Description
from outcrop.serving.sagemaker_plan import Plan
from outcrop.stores.failures import will_pass
from outcrop.stores.objects import ObjectStore
from outcrop.stores.serving import ServingStore, Sight

_BROKEN = ("Failed", "OutOfService", "UpdateRollbackFailed")

_logger = logging.getLogger(__name__)


def look(plan: Plan, *, is_wanted: bool = True) -> Sight:
    """How far the endpoint is, after the next step. One that nobody wants now is not begun or woken, but what
    was begun is brought to its end."""
    return in_words(lambda: _look(plan, is_wanted))


def take_away(plan: Plan) -> None:
    """Delete the endpoint and all on it, as far as SageMaker lets that happen now: another time does the
    rest."""
    api.stop_scaling(plan)
    _take_away_components(plan)
    description = api.endpoint(plan.endpoint)
    if description and description["EndpointStatus"] != "Deleting":
        api.delete_endpoint(description)


def in_words(see: Callable[[], Sight]) -> Sight:
    """What AWS refused on the way, as what was seen."""
    try:
        return see()
    except (BotoCoreError, ClientError) as error:
        if will_pass(error):
            return Sight(state="waiting", message="SageMaker is busy.")
        _logger.warning("serving: %s", error)
        return _refused(error)


def _look(plan: Plan, is_wanted: bool) -> Sight:
    endpoint, component = api.endpoint(plan.endpoint), api.component(plan.component)
    if endpoint is None or _is_older(component, endpoint):
        if component is not None:
            _take_away_components(plan)
            return _waiting(plan, "what is left of its last endpoint is being removed")
        return _begin(plan) if is_wanted else Sight(state="asleep")
    status = endpoint["EndpointStatus"]
    if status in _BROKEN:
        return _fail(plan, f"The endpoint {plan.endpoint} has failed", endpoint)
    if status != "InService":
        return _waiting(plan, f"the endpoint is {status}")
    if component is None:
        api.create_component(plan.base_component())
        return _waiting(plan, "its instance is there, and the model is being loaded")
    if component["InferenceComponentStatus"] == "Failed":
        return _fail(plan, f"The inference component {plan.component} has failed", component)
    _have_scaled(plan, component)
    return _look_at_copies(plan, endpoint, component, is_wanted)


def _look_at_copies(plan: Plan, endpoint: Description, component: Description, is_wanted: bool) -> Sight:
    status, copies = component["InferenceComponentStatus"], component.get("RuntimeConfig", {})
    if copies.get("CurrentCopyCount") and status in ("InService", "Updating"):
        return Sight(state="ready")
    reason = component.get("FailureReason")
    if copies.get("DesiredCopyCount") or status != "InService":
        return _waiting(plan, f"the model is {status}" + (f"; SageMaker says: {reason}" if reason else ""))
    if not is_wanted:
        return Sight(state="asleep")
    is_of_these_settings = str(endpoint["EndpointConfigName"]).startswith(f"{plan.version}-")
    if not is_of_these_settings and _has_weights(plan):  # another revision of them may be pinned
        take_away(plan)
        return _waiting(plan, "it is made anew, with the deployment's new settings")
    api.wake(plan)
    return _waiting(plan, "it is being woken")


def _begin(plan: Plan) -> Sight:
    if not _has_weights(plan):
        message = (
            f"The weights of {plan.base_model} are not in the bucket yet. A job on it has them fetched, and "
            f"so does `outcrop models sync {plan.base_model}`."
        )
        return Sight(state="failed", message=message)
    api.create_model(plan.model())
    types = list(plan.instance_types)
    while True:
        config = plan.endpoint_config(types)
        api.create_endpoint_config(config)
        try:
            api.create_endpoint(plan.endpoint, config["EndpointConfigName"])
        except ClientError as error:
            refused = [one for one in types if f"'{one} for" in str(error)]
            if _code(error) != "ResourceLimitExceeded" or not refused or refused == types:
                raise
            types = [one for one in types if one not in refused]  # whatever type the account has no quota for
        else:
            return _waiting(plan, "its endpoint is being made")


def _has_weights(plan: Plan) -> bool:
    return not plan.manifest_key or ObjectStore().exists(plan.manifest_key)


def _take_away_components(plan: Plan) -> None:
    """An endpoint's components outlive it, and stand in the way of new ones of their names. Adapters go
    first: SageMaker keeps what others stand on."""
    for name in api.components(plan.endpoint):
        if name != plan.component:
            api.delete_component(name)
    api.delete_component(plan.component)


def _have_scaled(plan: Plan, component: Description) -> None:
    """Without scaling a component never sleeps, so this is tried until it is done, once for each."""
    store, stamp = ServingStore(), api.made_at(component).isoformat()
    known = store.get(plan.endpoint)
    if known and known.scaled == stamp:
        return
    try:
        api.scale(plan)
    except (BotoCoreError, ClientError) as error:
        _logger.error("serving: %s has no scaling yet: %s", plan.component, error)
    else:
        store.scaled(plan.endpoint, stamp)


def _fail(plan: Plan, what: str, description: Description) -> Sight:
    reason = description.get("FailureReason") or "SageMaker gives no reason."
    take_away(plan)
    return Sight(
        state="failed",
        message=f"{what} and is removed; the next request makes it anew. SageMaker says: {reason}",
        # Machines may be there in a minute; a container that does not start would not start then, either.
        should_retry="capacity" in reason.lower(),
    )


def _refused(error: BotoCoreError | ClientError) -> Sight:
    if isinstance(error, ClientError):
        said = error.response.get("Error", {}).get("Message", "")
        if _code(error) == "ResourceLimitExceeded":
            message = (
                "The account has no quota for the instance that the model needs. Ask for more in Service "
                f"Quotas (Amazon SageMaker). AWS says: {said}"
            )
            return Sight(state="failed", message=message, should_retry=False)
        if "could not find" in said.lower():  # what was made a moment ago is not seen everywhere yet
            return Sight(state="waiting", message="SageMaker is busy.")
        call = error.operation_name
        message = f"SageMaker refused {call} ({_code(error)}): {said}"
        return Sight(state="failed", message=message, should_retry=False)
    return Sight(state="failed", message=f"SageMaker cannot be asked: {error}", should_retry=False)


def _waiting(plan: Plan, what: str) -> Sight:
    return Sight(
        state="waiting",
        message=f"The model {plan.base_model} is starting: {what}. That takes some 5 to 15 minutes in all.",
    )


def _is_older(component: Description | None, endpoint: Description) -> bool:
    return component is not None and api.made_at(component) < api.made_at(endpoint)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
