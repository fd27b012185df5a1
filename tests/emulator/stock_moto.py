"""What moto does without our patches, as JSON. Run in a process of its own: a patch cannot be taken back."""

import json
import os
import warnings
from typing import Any

os.environ["AWS_DEFAULT_REGION"] = "us-west-2"
warnings.simplefilter("ignore")

import boto3  # noqa: E402 - the region comes first
from moto import mock_aws  # noqa: E402
from moto.core.config import DefaultConfig  # noqa: E402

CONFIG: DefaultConfig = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}
ROLE = "arn:aws:iam::123456789012:role/any"
PASS = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}})
SYNC = json.dumps(
    {
        "StartAt": "Train",
        "States": {
            "Train": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
                "Parameters": {"TrainingJobName": "a"},
                "End": True,
            }
        },
    }
)
TEMPLATE = json.dumps(
    {
        "Resources": {
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                    "BillingMode": "PAY_PER_REQUEST",
                },
            },
            "Bucket": {"Type": "AWS::S3::Bucket"},
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {"DefinitionString": PASS, "RoleArn": ROLE},
            },
        }
    }
)
TRAINING_JOB = {
    "TrainingJobName": "not a name",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "RoleArn": ROLE,
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}


def deploy() -> list[str]:
    """The physical names of the table and the bucket of a fresh deployment."""
    with mock_aws(config=CONFIG):
        boto3.client("cloudformation").create_stack(StackName="Some", TemplateBody=TEMPLATE)
        buckets = boto3.client("s3").list_buckets()["Buckets"]
        return [
            *boto3.client("dynamodb").list_tables()["TableNames"],
            *(one.get("Name", "") for one in buckets),
        ]


@mock_aws(config=CONFIG)
def state_machines_of_cloudformation() -> int:
    boto3.client("cloudformation").create_stack(StackName="Some", TemplateBody=TEMPLATE)
    return len(boto3.client("stepfunctions").list_state_machines()["stateMachines"])


@mock_aws(config=CONFIG)
def execution(definition: str) -> dict:
    client = boto3.client("stepfunctions")
    machine = client.create_state_machine(name="one", definition=definition, roleArn=ROLE)
    arn = client.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    while (described := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
        pass
    return {"name": described.get("name"), "arn": arn, "cause": described.get("cause", "")}


@mock_aws(config=CONFIG)
def answer_of_a_function_nobody_made() -> str:
    return (
        boto3.client("lambda").invoke(FunctionName="nobody", Payload=b'{"a": 1}')["Payload"].read().decode()
    )


@mock_aws(config=CONFIG)
def training_job() -> dict:
    client = boto3.client("sagemaker")
    client.create_training_job(**TRAINING_JOB)
    client.create_training_job(**TRAINING_JOB)
    status = client.describe_training_job(TrainingJobName="not a name")["TrainingJobStatus"]
    try:
        client.stop_training_job(TrainingJobName="not a name")
        stop = "stopped"
    except NotImplementedError as error:
        stop = str(error)
    return {"status": status, "stop": stop}


def schedule_a_function(events: Any) -> None:
    events.put_rule(Name="often", ScheduleExpression="rate(5 minutes)")
    function = "arn:aws:lambda:us-west-2:123456789012:function:any"
    events.put_targets(Rule="often", Targets=[{"Id": "one", "Arn": function}])


@mock_aws(config=CONFIG)
def event_beside_a_schedule() -> str:
    events = boto3.client("events")
    schedule_a_function(events)
    try:
        events.put_events(Entries=[{"Source": "outcrop", "DetailType": "any", "Detail": "{}"}])
    except NotImplementedError:
        return "not implemented"
    return "taken"


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "names": [deploy(), deploy()],
                "state_machines_of_cloudformation": state_machines_of_cloudformation(),
                "unnamed": execution(PASS),
                "sync": execution(SYNC),
                "function": answer_of_a_function_nobody_made(),
                "training_job": training_job(),
                "event": event_beside_a_schedule(),
            }
        )
    )
