"""Sweep: called every quarter of an hour. Starts what was not started, ends what was lost, stops what nobody
wants; `outcrop fsck` looks at the same, and at more.
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from outcrop.operations import job_counts
from outcrop.operations.reconcile import whole

logger = Logger(service="workflow")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    counted: dict[str, Any] = {**job_counts.count(whole.projects())}
    logger.info("jobs counted", **counted)
    swept = whole.sweep()
    failed = [one for one in swept if one.error]
    for one in swept:
        if one.error:
            logger.error("not repaired", about=one.finding.about, says=one.finding.says, exc_info=one.error)
        else:
            logger.info("repaired", about=one.finding.about, says=one.finding.says)
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(swept)} findings could not be repaired; see the log.")
    return {"repaired": len(swept)}
