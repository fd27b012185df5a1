"""What keeps endpoints in order when nobody asks: called every few minutes.

A cold start whose last caller left is brought to its end, or its instance would wait for a model for ever,
and cost. Scaling that could not be set up is set up. An endpoint that nobody has used for long is removed
with all on it; the next request makes it anew.
"""

from outcrop import base_models
from outcrop.serving import sagemaker_api as api
from outcrop.serving import sagemaker_endpoint
from outcrop.serving.sagemaker_plan import Plan, plan
from outcrop.settings import settings
from outcrop.stores.serving import Served, ServingStore, Sight

UNUSED_SECONDS = 7 * 24 * 3600
_SOMEBODY_WAITS_SECONDS = 30
"""Who waits for an endpoint looks at it more often."""


def tend(now: int) -> list[Served]:
    """The endpoints that there are, as they were seen."""
    store = ServingStore()
    plans = {
        one.endpoint: one
        for one in (plan(entry, settings()) for entry in base_models.known() if entry.serving)
    }
    seen: list[Served] = []
    for known in store.list():
        if wanted := plans.get(known.name):
            row, _ = store.look(
                known.name,
                now,
                every_seconds=_SOMEBODY_WAITS_SECONDS,
                see=lambda wanted=wanted, known=known: _see(wanted, known, now),
                is_use=False,
            )
            seen.append(row)
    return seen


def _see(wanted: Plan, known: Served, now: int) -> Sight:
    sight = sagemaker_endpoint.look(wanted, is_wanted=False)
    if sight.state == "asleep" and now - known.used_at > UNUSED_SECONDS:
        return sagemaker_endpoint.in_words(lambda: _remove(wanted))
    return sight


def _remove(wanted: Plan) -> Sight:
    sagemaker_endpoint.take_away(wanted)
    if api.endpoint(wanted.endpoint) is None and api.component(wanted.component) is None:
        ServingStore().forget(wanted.endpoint)
    return Sight(state="asleep")
