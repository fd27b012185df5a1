"""Who may tell the default EventBridge bus how a job has ended: nobody may say anything else there."""

import aws_cdk as cdk

from outcrop.operations.job_end import DETAIL_TYPE
from outcrop.stores.bus import SOURCE
from stacks.permissions import Grantee, allow


def allow_telling(grantee: Grantee) -> None:
    stack = cdk.Stack.of(grantee)
    allow(
        grantee,
        "events:PutEvents",
        on=[stack.format_arn(service="events", resource="event-bus", resource_name="default")],
        when={"StringEquals": {"events:source": SOURCE, "events:detail-type": DETAIL_TYPE}},
    )
