"""What a role must not do, even if its code were somebody else's: simulated on the templates' policies.

Each forbidden call stands beside one of the same kind that is allowed, so that a denial says something.
"""

import pytest

from scripts.synthesis import templates
from tests.stacks.iam import Account, Context, Policy

_HERE = "us-west-2:123456789012"
_TABLE = f"arn:aws:dynamodb:{_HERE}:table/outcrop-table"
_OBJECTS = "arn:aws:s3:::outcrop-bucket"
_JOB = "ftjob-abc-1"
_GRADER = {"aws:ResourceTag/outcrop:grader": "true"}
_KEY_ROW = {"dynamodb:LeadingKeys": ["P#acme#KEY"]}
_JOB_ROW = {"dynamodb:LeadingKeys": ["P#acme#JOB"]}
_NAMED = {
    "the training role": ("OutcropTraining", "Role"),
    "the images' project": ("OutcropImages", "ImageProject"),
    "the images' repository": ("OutcropImages", "ImageRepository"),
}
_ENDED = {"events:source": "outcrop", "events:detail-type": "Fine-tuning job ended"}


def function(name: str) -> str:
    return f"arn:aws:lambda:{_HERE}:function:{name}"


def training_job(name: str) -> str:
    return f"arn:aws:sagemaker:{_HERE}:training-job/{name}"


Call = tuple[str, str, str, Context]
"""Role, action, resource and what else IAM is told."""

FORBIDDEN: list[Call] = [
    # The authorizer knows keys, and nothing of what projects have.
    ("OutcropApi Authorizer", "dynamodb:UpdateItem", _TABLE, _JOB_ROW),
    ("OutcropApi Authorizer", "dynamodb:PutItem", _TABLE, _KEY_ROW),
    ("OutcropApi Authorizer", "dynamodb:DeleteItem", _TABLE, _KEY_ROW),
    ("OutcropApi Authorizer", "dynamodb:Scan", _TABLE, {}),
    ("OutcropApi Authorizer", "s3:GetObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    # Nobody reads the table as a whole, or changes what it is.
    ("OutcropApi Api", "dynamodb:Scan", _TABLE, {}),
    ("OutcropApi Api", "dynamodb:DeleteTable", _TABLE, {}),
    ("OutcropApi Api", "dynamodb:GetItem", f"arn:aws:dynamodb:{_HERE}:table/another", {}),
    ("OutcropTraining", "dynamodb:DeleteItem", _TABLE, _JOB_ROW),
    # The API takes files; what training makes and reads is not its to write.
    ("OutcropApi Api", "s3:PutObject", f"{_OBJECTS}/models/openai.gpt-oss-20b/config.json", {}),
    ("OutcropApi Api", "s3:PutObject", f"{_OBJECTS}/projects/acme/jobs/{_JOB}/adapters/a", {}),
    ("OutcropApi Api", "s3:GetObject", f"{_OBJECTS}/projects/acme/jobs/{_JOB}/rollouts/a", {}),
    ("OutcropApi Api", "s3:GetObject", "arn:aws:s3:::another-bucket/projects/acme/files/a", {}),
    ("OutcropApi Api", "s3:PutBucketPolicy", _OBJECTS, {}),
    ("OutcropApi Api", "sagemaker:StopTrainingJob", training_job("somebody-elses"), {}),
    ("OutcropApi Api", "sagemaker:CreateTrainingJob", training_job(_JOB), {}),
    ("OutcropApi Api", "iam:PassRole", "arn:aws:iam::123456789012:role/OutcropTraining-Role", {}),
    # Graders are functions that were marked so, never Outcrop's own, in whatever way they are named.
    ("OutcropApi Api", "lambda:InvokeFunction", function("payroll"), {}),
    ("OutcropApi Api", "lambda:InvokeFunction", function("OutcropFiles-ProcessFile"), _GRADER),
    ("OutcropApi Api", "lambda:InvokeFunction", function("OutcropWorkflow-Finish"), _GRADER),
    ("OutcropApi Api", "lambda:UpdateFunctionCode", function("my-grader"), _GRADER),
    ("OutcropTraining", "lambda:InvokeFunction", function("payroll"), {}),
    ("OutcropTraining", "lambda:InvokeFunction", function("payroll"), {"aws:ResourceTag/team": "true"}),
    ("OutcropTraining", "lambda:InvokeFunction", function("OutcropApi-Api"), _GRADER),
    (
        "OutcropTraining",
        "lambda:InvokeFunction",
        "arn:aws:lambda:us-west-2:999999999999:function:my-grader",
        _GRADER,
    ),
    # A training job writes what it makes, and starts nothing.
    ("OutcropTraining", "s3:PutObject", f"{_OBJECTS}/models/openai.gpt-oss-20b/model.safetensors", {}),
    ("OutcropTraining", "s3:PutObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropTraining", "s3:DeleteObject", f"{_OBJECTS}/projects/acme/jobs/{_JOB}/adapters/a", {}),
    ("OutcropTraining", "s3:DeleteObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropTraining", "sagemaker:CreateTrainingJob", training_job(_JOB), {}),
    ("OutcropTraining", "states:StartExecution", f"arn:aws:states:{_HERE}:stateMachine:training", {}),
    ("OutcropTraining", "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{_HERE}:secret:a", {}),
    # The workflow passes one role, to SageMaker, and starts its own jobs.
    (
        "OutcropWorkflow TrainingStateMachine",
        "iam:PassRole",
        "arn:aws:iam::123456789012:role/admin",
        {"iam:PassedToService": "sagemaker.amazonaws.com"},
    ),
    (
        "OutcropWorkflow TrainingStateMachine",
        "iam:PassRole",
        "the training role",
        {"iam:PassedToService": "ec2.amazonaws.com"},
    ),
    ("OutcropWorkflow TrainingStateMachine", "sagemaker:CreateTrainingJob", training_job("other"), {}),
    ("OutcropWorkflow TrainingStateMachine", "lambda:InvokeFunction", function("my-grader"), _GRADER),
    ("OutcropWorkflow Finish", "sagemaker:StopTrainingJob", training_job("other"), {}),
    ("OutcropWorkflow Finish", "s3:GetObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropWorkflow ClassifyStop", "sagemaker:StopTrainingJob", training_job(_JOB), {}),
    ("OutcropWorkflow ValidateFiles", "s3:PutObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropWorkflow ValidateFiles", "s3:DeleteObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropWorkflow PrepareTraining", "s3:PutObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropWorkflow PrepareTraining", "sagemaker:CreateTrainingJob", training_job(_JOB), {}),
    ("OutcropWorkflow RegisterModel", "s3:PutObject", f"{_OBJECTS}/models/a/manifest.json", {}),
    (
        "OutcropWorkflow RegisterModel",
        "events:PutEvents",
        f"arn:aws:events:{_HERE}:event-bus/default",
        {"events:source": "aws.health", "events:detail-type": "Fine-tuning job ended"},
    ),
    # The sweeper puts training images away, and builds none; a job has them built, and deletes none.
    ("OutcropWorkflow Sweep", "ecr:BatchDeleteImage", f"arn:aws:ecr:{_HERE}:repository/another", {}),
    ("OutcropWorkflow Sweep", "ecr:DeleteRepository", "the images' repository", {}),
    ("OutcropWorkflow Sweep", "codebuild:StartBuild", "the images' project", {}),
    ("OutcropWorkflow PrepareTraining", "ecr:BatchDeleteImage", "the images' repository", {}),
    ("OutcropWorkflow PrepareTraining", "codebuild:UpdateProject", "the images' project", {}),
    ("OutcropWorkflow PrepareTraining", "codebuild:StartBuild", f"arn:aws:codebuild:{_HERE}:project/a", {}),
    # Who answers prompts sees no training data.
    ("OutcropServing Inference", "s3:GetObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropServing Inference", "s3:DeleteObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropServing Inference", "lambda:InvokeFunction", function("my-grader"), _GRADER),
    ("OutcropServing RunResponse", "s3:GetObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropServing RunResponse", "dynamodb:DeleteItem", _TABLE, _JOB_ROW),
    # Files are put together where files are.
    ("OutcropFiles ProcessFile", "s3:PutObject", f"{_OBJECTS}/models/a/config.json", {}),
    ("OutcropFiles ProcessFile", "s3:DeleteObject", f"{_OBJECTS}/projects/acme/jobs/{_JOB}/adapters/a", {}),
    ("OutcropFiles ProcessFile", "dynamodb:PutItem", _TABLE, {}),
    # Base weights come in below models/, and nowhere else.
    ("OutcropWeights FetchWeights", "s3:PutObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropWeights FetchWeights", "s3:GetObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropWeights FetchWeights", "dynamodb:GetItem", _TABLE, {}),
    ("OutcropWeights ListWeights", "s3:DeleteObject", f"{_OBJECTS}/models/a/model.safetensors", {}),
    # A customer's Python has the sandbox's credentials in its hands.
    ("OutcropSandbox Sandbox", "s3:GetObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropSandbox Sandbox", "dynamodb:GetItem", _TABLE, {}),
    ("OutcropSandbox Sandbox", "lambda:InvokeFunction", function("my-grader"), _GRADER),
    (
        "OutcropSandbox Sandbox",
        "ec2:CreateNetworkInterface",
        f"arn:aws:ec2:{_HERE}:network-interface/*",
        {"lambda:SourceFunctionArn": function("OutcropSandbox-Sandbox1")},
    ),
    ("OutcropSandbox Sandbox", "logs:PutLogEvents", f"arn:aws:logs:{_HERE}:log-group:other:*", {}),
]
ALLOWED: list[Call] = [
    ("OutcropApi Authorizer", "dynamodb:UpdateItem", _TABLE, _KEY_ROW),
    ("OutcropApi Authorizer", "dynamodb:GetItem", _TABLE, _KEY_ROW),
    ("OutcropApi Api", "dynamodb:GetItem", _TABLE, _JOB_ROW),
    ("OutcropApi Api", "s3:GetObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropApi Api", "s3:PutObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    ("OutcropApi Api", "sagemaker:StopTrainingJob", training_job(_JOB), {}),
    ("OutcropApi Api", "lambda:InvokeFunction", function("my-grader"), _GRADER),
    ("OutcropApi Api", "lambda:GetFunctionConfiguration", function("my-grader"), _GRADER),
    ("OutcropApi Api", "lambda:InvokeFunction", function("OutcropSandbox-Sandbox1"), {}),
    ("OutcropTraining", "lambda:InvokeFunction", function("my-grader"), _GRADER),
    ("OutcropTraining", "s3:GetObject", f"{_OBJECTS}/models/a/model.safetensors", {}),
    ("OutcropTraining", "s3:PutObject", f"{_OBJECTS}/projects/acme/jobs/{_JOB}/adapters/a", {}),
    ("OutcropTraining", "s3:DeleteObject", f"{_OBJECTS}/projects/acme/jobs/{_JOB}/checkpoints/a", {}),
    ("OutcropTraining", "dynamodb:PutItem", _TABLE, _JOB_ROW),
    (
        "OutcropWorkflow TrainingStateMachine",
        "iam:PassRole",
        "the training role",
        {"iam:PassedToService": "sagemaker.amazonaws.com"},
    ),
    ("OutcropWorkflow TrainingStateMachine", "sagemaker:CreateTrainingJob", training_job(_JOB), {}),
    ("OutcropWorkflow Finish", "sagemaker:StopTrainingJob", training_job(_JOB), {}),
    ("OutcropWorkflow ValidateFiles", "s3:GetObject", f"{_OBJECTS}/projects/acme/files/file-1", {}),
    (
        "OutcropWorkflow RegisterModel",
        "events:PutEvents",
        f"arn:aws:events:{_HERE}:event-bus/default",
        _ENDED,
    ),
    ("OutcropWorkflow Sweep", "ecr:BatchDeleteImage", "the images' repository", {}),
    ("OutcropWorkflow PrepareTraining", "codebuild:StartBuild", "the images' project", {}),
    ("OutcropServing Inference", "s3:GetObject", f"{_OBJECTS}/projects/acme/bodies/resp-1/output", {}),
    ("OutcropFiles ProcessFile", "s3:DeleteObject", f"{_OBJECTS}/projects/acme/uploads/upload-1/1", {}),
    ("OutcropWeights FetchWeights", "s3:PutObject", f"{_OBJECTS}/models/a/model.safetensors", {}),
    (
        "OutcropSandbox Sandbox",
        "ec2:CreateNetworkInterface",
        f"arn:aws:ec2:{_HERE}:network-interface/*",
        {},
    ),
]


@pytest.fixture(scope="module")
def account() -> Account:
    return Account(templates())


@pytest.fixture(scope="module")
def policies(account: Account) -> dict[str, Policy]:
    return account.policies()


def resource(account: Account, name: str) -> str:
    return account.arn(*_NAMED[name]) if name in _NAMED else name


@pytest.mark.parametrize("call", FORBIDDEN, ids=lambda call: f"{call[0]}-{call[1]}-{call[2]}")
def test_it_is_denied(account: Account, policies: dict[str, Policy], call: Call) -> None:
    role, action, on, context = call

    assert not policies[role].allows(action, resource(account, on), context)


@pytest.mark.parametrize("call", ALLOWED, ids=lambda call: f"{call[0]}-{call[1]}-{call[2]}")
def test_its_neighbour_is_allowed(account: Account, policies: dict[str, Policy], call: Call) -> None:
    role, action, on, context = call

    assert policies[role].allows(action, resource(account, on), context)


def test_every_forbidden_call_is_a_different_one() -> None:
    assert len({str(call) for call in FORBIDDEN}) == len(FORBIDDEN) >= 30
