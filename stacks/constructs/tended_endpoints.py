"""`TendedEndpoints`: SageMaker endpoints that functions make when they are asked, and a function that keeps
them in order when nobody asks."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.constructs.python_function import PythonFunction, call_every
from stacks.deployment import Deployment
from stacks.serving_permissions import EndpointRole, allow_asking, allow_hosting, allow_tending
from stacks.serving_settings import serving_environment
from stacks.storage import StorageStack

_EVERY = cdk.Duration.minutes(5)
_SERVING_ROWS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["SERVING*"]}}


class TendedEndpoints(Construct):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        deployment: Deployment,
        storage: StorageStack,
        layer: lambda_.ILayerVersion,
        asking: Sequence[PythonFunction],
    ) -> None:
        """`asking` are the functions that ask models, and make the endpoints for it."""
        super().__init__(scope, id)
        endpoints = EndpointRole(self, "Endpoint", deployment=deployment, storage=storage)
        tend = PythonFunction(
            self,
            "Tend",
            module="lambdas.workflow.tend_endpoints",
            layer=layer,
            timeout=cdk.Duration.minutes(2),
            environment={
                "OUTCROP_TABLE": storage.table.table_name,
                "OUTCROP_BUCKET": storage.bucket.bucket_name,
                **serving_environment(deployment),
            },
        )
        storage.allow_rows(
            tend,
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            when=_SERVING_ROWS,
        )
        for function in (tend, *asking):
            function.add_environment("OUTCROP_SERVING_ROLE_ARN", endpoints.role.role_arn)
            function.add_environment("OUTCROP_SERVING_IMAGE", endpoints.image)
        allow_tending(tend)
        for function in asking:
            allow_hosting(function, endpoints)
            storage.allow_objects(function, "s3:GetObject", under=["models/*/manifest.json"])
            allow_asking(function)
            storage.allow_rows(function, "dynamodb:DeleteItem", when=_SERVING_ROWS)
        call_every(
            self,
            tend,
            _EVERY,
            why="Outcrop: finishes cold starts that nobody waits for, removes unused endpoints",
            missed="what is missed is done five minutes later",
        )
