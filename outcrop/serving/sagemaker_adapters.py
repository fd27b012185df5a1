"""The adapters on an endpoint, each an inference component: put there when asked for, and when there are too
many, the one that was not used for the longest time goes.

It comes back when it is asked for again, within seconds: its archive stays in the bucket.
"""

from outcrop.serving import sagemaker_api as api
from outcrop.serving.sagemaker_endpoint import in_words
from outcrop.serving.sagemaker_plan import Plan, component_of_adapter
from outcrop.stores.serving import ServingStore, Sight

_IN_USE_SECONDS = 900
"""After its last use an adapter may still be answering: as long as a request can last."""


def look(plan: Plan, adapter_key: str, now: int, *, most: int) -> Sight:
    """How far the adapter is, after the next step. Its base model answers already."""
    return in_words(lambda: _look(plan, adapter_key, now, most))


def announce(plan: Plan, adapter_key: str, now: int, *, most: int) -> None:
    """Put an adapter on its endpoint before anybody asks for it, if its base model is awake."""
    base = api.component(plan.component)
    if base and base["InferenceComponentStatus"] == "InService" and base["RuntimeConfig"]["CurrentCopyCount"]:
        name = component_of_adapter(adapter_key)
        ServingStore(plan.endpoint).look(
            name, now, every_seconds=0, see=lambda: look(plan, adapter_key, now, most=most)
        )


def remove(plan: Plan, adapter_key: str) -> None:
    """Take an adapter off its endpoint; success too if it was not there."""
    name = component_of_adapter(adapter_key)
    if api.delete_component(name):
        ServingStore(plan.endpoint).forget(name)


def _look(plan: Plan, adapter_key: str, now: int, most: int) -> Sight:
    name = component_of_adapter(adapter_key)
    adapter, base = api.component(name), api.component(plan.component)
    if adapter is None:
        return _add(plan, adapter_key, now, most)
    status = adapter["InferenceComponentStatus"]
    if status == "Failed" or base is None or api.made_at(adapter) < api.made_at(base):
        api.delete_component(name)
        if status != "Failed":
            return _waiting("what is left of its last endpoint is being removed")
        reason = adapter.get("FailureReason") or "SageMaker gives no reason."
        message = (
            f"The adapter's inference component {name} has failed and is removed. SageMaker says: {reason}"
        )
        return Sight(state="failed", message=message, should_retry=False)
    if status in ("InService", "Updating"):
        return Sight(state="ready")
    return _waiting(f"its adapter is {status}")


def _add(plan: Plan, adapter_key: str, now: int, most: int) -> Sight:
    """The adapter has its row already, so it counts; whoever comes one too many sees to it that one goes."""
    store, name = ServingStore(plan.endpoint), component_of_adapter(adapter_key)
    there = store.list()
    idle = sorted((one for one in there if one.used_at <= now - _IN_USE_SECONDS), key=lambda one: one.used_at)
    for _ in range(len(there) - most):
        gone = next((one for one in idle if api.delete_component(one.name)), None)
        if gone is None:
            store.forget(name)
            message = (
                f"The endpoint {plan.endpoint} holds {most} tuned models, and all were used within the last "
                f"{_IN_USE_SECONDS // 60} minutes. Ask again later, or raise `max_adapters` in cdk.json."
            )
            return Sight(state="failed", message=message)
        idle.remove(gone)
        store.forget(gone.name)
    api.create_component(plan.adapter_component(adapter_key))
    return _waiting("its adapter is being loaded")


def _waiting(what: str) -> Sight:
    return Sight(state="waiting", message=f"The model is starting: {what}.")
