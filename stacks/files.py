"""What happens to a file after its request: parts put together, rows checked. A function and its workflow."""

import aws_cdk as cdk
from constructs import Construct

from stacks.bundle import dependency_layer
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.single_step_workflow import SingleStepWorkflow
from stacks.deployment import Deployment
from stacks.s3_sources import allow_s3_sources
from stacks.storage import StorageStack


class FilesStack(cdk.Stack):
    def __init__(self, scope: Construct, id: str, *, deployment: Deployment, storage: StorageStack) -> None:
        super().__init__(scope, id, description="Outcrop: the workflow of uploaded files")
        process_file = PythonFunction(
            self,
            "ProcessFile",
            module="lambdas.workflow.process_file",
            layer=dependency_layer(self),
            timeout=cdk.Duration.minutes(15),
            memory_size=1024,  # for the CPU that comes with it: it needs a quarter of that
            environment={
                "OUTCROP_TABLE": storage.table.table_name,
                "OUTCROP_BUCKET": storage.bucket.bucket_name,
            },
        )
        storage.allow_rows(process_file, "dynamodb:GetItem", "dynamodb:UpdateItem")
        storage.allow_objects(
            process_file,
            "s3:GetObject",
            "s3:PutObject",
            "s3:PutObjectTagging",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
            under=["projects/*/files/*"],
        )
        storage.allow_objects(process_file, "s3:GetObject", "s3:DeleteObject", under=["projects/*/uploads/*"])
        allow_s3_sources(process_file, deployment)
        self.state_machine = SingleStepWorkflow(self, "File", step=process_file).state_machine
        cdk.CfnOutput(self, "StateMachineArn", value=self.state_machine.state_machine_arn)
