"""What serving by Amazon Bedrock's Custom Model Import takes: the role that imports run with, and what
functions may do with import jobs and imported models.

AWS makes up the ARNs of both; those that are ours have a tag, without which they can be neither asked nor
deleted. Reading about them cannot be held to the tag: what is not there has none, and would be forbidden in
place of not found.
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from outcrop.serving.bedrock_import_models import TAG
from stacks.constructs.python_function import PythonFunction
from stacks.permissions import allow, taken_by
from stacks.storage import StorageStack

_NO_RESOURCE = "the action knows no resource"
_AWS_NAMES_THEM = "AWS makes up the ids of import jobs and imported models"
_IS_OURS = {"StringEquals": {f"aws:ResourceTag/{TAG['key']}": TAG["value"]}}
_WILL_BE_OURS = {"StringEquals": {f"aws:RequestTag/{TAG['key']}": TAG["value"]}}


class ImportRole(Construct):
    """Reads merged weights, for Bedrock. Each stack that needs one has its own: one that others import could
    not be taken away again."""

    def __init__(self, scope: Construct, id: str, *, storage: StorageStack) -> None:
        super().__init__(scope, id)
        stack = cdk.Stack.of(self)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=taken_by(self, "bedrock.amazonaws.com", for_any=_arn(stack, "model-import-job")),
        )
        storage.allow_objects(self.role, "s3:GetObject", under=["projects/*/jobs/*/merged/*"])


def allow_importing(function: PythonFunction, importing: ImportRole) -> None:
    """Let a function have merged weights imported."""
    stack = cdk.Stack.of(function)
    job, model = _arn(stack, "model-import-job"), _arn(stack, "imported-model")
    function.add_environment("OUTCROP_IMPORT_ROLE_ARN", importing.role.role_arn)
    to_bedrock = {"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}}
    allow(function, "iam:PassRole", on=[importing.role.role_arn], when=to_bedrock)
    allow(function, "bedrock:CreateModelImportJob", on=["*"], when=_WILL_BE_OURS, because=_NO_RESOURCE)
    allow(function, "bedrock:TagResource", on=[job, model], when=_WILL_BE_OURS, because=_AWS_NAMES_THEM)


def allow_asking_imported(function: PythonFunction) -> None:
    """Let a function ask imported models, and look how far an import is."""
    ask, stack = "bedrock:InvokeModelWithResponseStream", cdk.Stack.of(function)
    job, model = _arn(stack, "model-import-job"), _arn(stack, "imported-model")
    allow(function, "bedrock:GetModelImportJob", on=[job], because=_AWS_NAMES_THEM)
    allow(function, "bedrock:GetImportedModel", on=[model], because=_AWS_NAMES_THEM)
    allow(function, ask, on=[model], when=_IS_OURS, because=_AWS_NAMES_THEM)


def allow_deleting_imported(function: PythonFunction) -> None:
    """Let a function list imported models, and delete them."""
    model = _arn(cdk.Stack.of(function), "imported-model")
    allow(function, "bedrock:DeleteImportedModel", on=[model], when=_IS_OURS, because=_AWS_NAMES_THEM)
    allow(function, "bedrock:ListImportedModels", on=["*"], because=_NO_RESOURCE)


def allow_checking_imported(function: PythonFunction) -> None:
    """Let a function see whether a model is imported, and whether there is room for one more."""
    model = _arn(cdk.Stack.of(function), "imported-model")
    allow(function, "bedrock:GetImportedModel", on=[model], because=_AWS_NAMES_THEM)
    allow(function, "servicequotas:GetServiceQuota", on=["*"], because=_NO_RESOURCE)


def _arn(stack: cdk.Stack, kind: str) -> str:
    return stack.format_arn(service="bedrock", resource=kind, resource_name="*")
