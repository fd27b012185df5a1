"""Check in a real account what no emulator shows: `python -m scripts.verify_deployment [--yes] [CHECK ...]`.

Prints for each check whether it passes and what was measured. What costs more than a cent says its price and
runs with --yes only. Works with two keys of its own, in the projects `verify` and `verify-other`, and revokes
them.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from openai import OpenAI, OpenAIError

from outcrop.stores import deployed
from outcrop.stores.keys import KeyStore
from outcrop.stores.refusals import DeploymentError
from scripts import deployment_checks, deployment_trials
from scripts.deployment_checks import Deployment, Failed

_TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Check:
    name: str
    run: Callable[[Deployment], str]
    usd: float = 0
    """About what it costs, if more than a cent."""


CHECKS = (
    Check("stacks", deployment_checks.stacks),
    Check("prefixes", deployment_checks.both_prefixes),
    Check("refusals", deployment_checks.refusals),
    Check("egress", deployment_checks.sandbox_has_no_egress),
    Check("tenants", deployment_checks.tenants_share_no_machine),
    Check("filters", deployment_checks.metric_filters),
    Check("dashboard", deployment_checks.dashboard),
    Check("jumpstart", deployment_checks.jumpstart),
    Check("prices", deployment_checks.prices_are_current),
    Check("weights", deployment_trials.weights_come, usd=0.02),
    Check("job", deployment_trials.a_job_trains, usd=1.0),
    Check("serving", deployment_trials.a_model_wakes_and_answers, usd=1.5),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="verify_deployment", description=__doc__)
    names = [check.name for check in CHECKS]
    parser.add_argument("check", nargs="*", help=f"Only these of {', '.join(names)}.")
    parser.add_argument("--yes", action="store_true", help="Run what costs more than a cent, too.")
    parser.add_argument("--profile")
    parser.add_argument("--region")
    asked = parser.parse_args(arguments)
    for name in asked.check:
        if name not in names:
            parser.error(f"there is no check '{name}'. There are: {', '.join(names)}.")
    chosen = [check for check in CHECKS if not asked.check or check.name in asked.check]
    try:
        found = deployed.enter(asked.profile, asked.region)
        with _with_keys(found, found.output("OutcropApi", "BaseUrl")) as deployment:
            return _run(chosen, deployment, asked.yes)
    except DeploymentError as error:
        print(f"verify_deployment: {error}", file=sys.stderr)
        return 2


def _run(chosen: Sequence[Check], deployment: Deployment, yes: bool) -> int:
    """The exit status: 1 if something failed."""
    status = 0
    width = max(len(check.name) for check in chosen)
    for check in chosen:
        if check.usd and not yes:
            print(f"SKIP  {check.name:{width}}  costs about ${check.usd:.2f}: --yes runs it", flush=True)
            continue
        try:
            print(f"PASS  {check.name:{width}}  {check.run(deployment)}", flush=True)
        except (Failed, BotoCoreError, ClientError, DeploymentError, OpenAIError) as error:
            print(f"FAIL  {check.name:{width}}  {error}", flush=True)
            status = 1
    return status


@contextmanager
def _with_keys(found: deployed.Deployed, base_url: str) -> Iterator[Deployment]:
    projects = ("verify", "verify-other")
    made = [KeyStore(project).create("verify_deployment") for project in projects]
    try:
        clients = [OpenAI(base_url=base_url, api_key=key, timeout=_TIMEOUT_SECONDS) for key in made]
        yield Deployment(found, base_url, *clients)
    finally:
        for project, key in zip(projects, made, strict=True):
            known = KeyStore.find(key)
            if known:
                KeyStore(project).revoke(known.id)


if __name__ == "__main__":
    sys.exit(main())
