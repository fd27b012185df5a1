"""AWS calls that each API request costs, counted: `python -m benchmarks.aws_calls` prints a table.

The real authorizer and the real API function run in process, on an emulated account; botocore's hooks count.
The authorizer's one GetItem is left out of the rows: API Gateway keeps its answer for a minute.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from openai import OpenAI

from outcrop.stores.events import EventStore
from tests import factories
from tests.account import emulated_account, sdk

AUTHORIZER = "dynamodb.GetItem"


def main() -> None:
    print("| request | calls | which |\n|---|---|---|")
    with emulated_account() as account:
        made: Counter[str] = Counter()
        account.session.events.register("provide-client-params", partial(_count, made))
        for name, request in requests(sdk(factories.PROJECT)).items():
            made.clear()
            request()
            calls = made - Counter([AUTHORIZER])
            which = ", ".join(f"{n} {call}" for call, n in sorted(calls.items()))
            print(f"| `{name}` | {calls.total()} | {which} |")


def requests(client: OpenAI) -> dict[str, Callable[[], object]]:
    """One request of each kind, on an account that has what it asks for."""
    file, job = factories.a_file().id, factories.a_job(status="running").id
    EventStore(factories.PROJECT, job).append("info", "event")
    model = factories.a_tuned_model().id
    jobs = client.fine_tuning.jobs
    method: Any = factories.METHOD
    new_job = partial(jobs.create, model="tiny-caps", training_file=file, method=method)
    return {
        "POST /files": partial(client.files.create, file=("a.jsonl", factories.ROWS), purpose="fine-tune"),
        "GET /files": client.files.list,
        "GET /files/{id}": partial(client.files.retrieve, file),
        "GET /files/{id}/content": partial(client.files.content, file),
        "POST /fine_tuning/jobs": new_job,
        "POST /fine_tuning/jobs, with a validation file": partial(new_job, validation_file=file),
        "GET /fine_tuning/jobs": jobs.list,
        "GET /fine_tuning/jobs/{id}": partial(jobs.retrieve, job),
        "GET /fine_tuning/jobs/{id}/events": partial(jobs.list_events, job),
        "GET /fine_tuning/jobs/{id}/checkpoints": partial(jobs.checkpoints.list, job),
        "POST /fine_tuning/jobs/{id}/cancel": partial(jobs.cancel, job),
        "GET /models": client.models.list,
        "GET /models/{base model}": partial(client.models.retrieve, "tiny-caps"),
        "GET /models/{tuned model}": partial(client.models.retrieve, model),
        "DELETE /files/{id}": partial(client.files.delete, file),
    }


def _count(made: Counter[str], event_name: str, **_: object) -> None:
    """`provide-client-params.dynamodb.GetItem`: one call."""
    made[event_name.removeprefix("provide-client-params.")] += 1


if __name__ == "__main__":
    main()
