"""All checks, in the order in which somebody would look."""

from collections.abc import Callable, Iterator, Sequence

from outcrop.ids import now
from outcrop.operations.doctor import account, api, graders, jobs, network, serving, stacks, storage, training
from outcrop.operations.doctor.patient import Check, Finding, Patient, examine
from outcrop.stores import deployed
from outcrop.stores.deployed import Deployed
from outcrop.stores.refusals import DeploymentError, in_words

ACCOUNT: dict[str, Check] = {
    "clock": account.clock,
    "packages": account.packages,
    "region": account.region,
    "lambda concurrency": account.concurrency,
    "cdk bootstrap": account.bootstrap,
}
"""Of the account, whether anything is deployed or not."""
DEPLOYMENT: dict[str, Check] = {
    "stacks": stacks.present,
    "stack status": stacks.status,
    "version": stacks.version,
    "outputs": stacks.outputs,
    "drift": stacks.drift,
    "functions": stacks.functions,
    "state machines": stacks.state_machines,
    "sweeper": stacks.sweeper,
    "log groups": stacks.logs,
    "table": storage.table,
    "bucket": storage.bucket,
    "training image": training.image,
    "training role": training.role,
    "training quotas": training.quotas,
    "spot quotas": training.spot,
    "training time": training.run_time,
    "training network": network.training_vpc,
    "base weights": training.base_weights,
    "serving": serving.server,
    "endpoints": serving.endpoints,
    "endpoint quotas": serving.endpoint_quotas,
    "hugging face token": serving.hugging_face_token,
    "sandbox": network.sandbox,
    "graders": graders.functions,
    "judges": graders.judges,
    "api": api.reachable,
    "keys": api.keys,
    "jobs": jobs.stuck,
    "alarms": jobs.alarms,
    "alarm e-mail": jobs.alarm_email,
}

Look = Callable[[str], None]


def diagnose(asked_graders: Sequence[str], on_check: Look) -> Iterator[Finding]:
    """What is wrong, as it is found. `on_check` hears the name of each check before it is made."""
    on_check("credentials")
    try:
        with in_words():
            found = deployed.find()
    except DeploymentError as error:
        yield Finding(str(error), "Then look again.", "credentials")
        return
    if not found.stacks:
        yield _nothing(found)
    try:
        patient = examine(found, now(), asked_graders)
    except DeploymentError as error:
        yield Finding(f"The stacks may not be looked at. {error}", "Use credentials that may.", "stacks")
        return
    checks = ACCOUNT | DEPLOYMENT if found.stacks else ACCOUNT
    for name, check in checks.items():
        on_check(name)
        for finding in _made(check, patient):
            yield Finding(finding.says, finding.fix, name)


def _made(check: Check, patient: Patient) -> Iterator[Finding]:
    """What a check finds; one that cannot be made is a finding itself."""
    try:
        with in_words():
            yield from [*check(patient)]
    except (DeploymentError, OSError) as error:
        yield Finding(
            f"It cannot be checked. {error}",
            "Use credentials that may look, like those of AWS's policy ReadOnlyAccess, and look again.",
        )


def _nothing(found: Deployed) -> Finding:
    return Finding(
        f"There is no Outcrop in {found.region} of account {found.account}.",
        "Deploy it (make deploy ARGS=--all), or name the Region it is in: --region.",
        "stacks",
    )
