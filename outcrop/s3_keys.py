"""Where everything lies in the bucket. Every key of a project starts with the project, as every row does."""

EXPIRY_TAG = "outcrop-expires-in-days"
"""S3 removes an object with this tag so many days after it was written, by the bucket's lifecycle rules."""
MAX_EXPIRY_DAYS = 30


def file(project: str, file_id: str) -> str:
    return f"projects/{project}/files/{file_id}"


def uploads(project: str) -> str:
    """Prefix of all uploads' parts."""
    return f"projects/{project}/uploads/"


def upload(project: str, upload_id: str) -> str:
    """Prefix of an upload's parts, each under its own id, until they are put together to a file."""
    return f"{uploads(project)}{upload_id}/"


def job(project: str, job_id: str) -> str:
    return f"projects/{project}/jobs/{job_id}/"


def config(project: str, job_id: str, attempt: int) -> str:
    """Prefix of the `config` channel: holds spec.json."""
    return f"{job(project, job_id)}attempts/{attempt}/config/"


def result(project: str, job_id: str, attempt: int) -> str:
    return f"{job(project, job_id)}attempts/{attempt}/result.json"


def output(project: str, job_id: str, attempt: int) -> str:
    """Prefix SageMaker writes the container's `/opt/ml/output/data` and model archive to."""
    return f"{job(project, job_id)}attempts/{attempt}/output/"


def checkpoints(project: str, job_id: str) -> str:
    """Prefix SageMaker keeps in step with `/opt/ml/checkpoints`; every attempt of the job sees the same."""
    return f"{job(project, job_id)}checkpoints/"


def adapter(project: str, job_id: str, step: int) -> str:
    return f"{job(project, job_id)}adapters/step-{step:06d}/"


def adapter_archive(adapter_key: str) -> str:
    """The same adapter as one `.tar.gz`, which is the form that SageMaker takes; beside its prefix, since
    whoever reads an adapter reads all below that."""
    return f"{adapter_key.removesuffix('/')}.tar.gz"


def weights(project: str, job_id: str, step: int) -> str:
    """Prefix of all weights of a policy that has no adapter, with configuration and tokenizer: a model."""
    return f"{job(project, job_id)}weights/step-{step:06d}/"


def merged(project: str, job_id: str) -> str:
    """Prefix of the job's model in one piece, for a deployment whose serving wants it so."""
    return f"{job(project, job_id)}merged/"


def rollouts(project: str, job_id: str, step: int) -> str:
    return f"{job(project, job_id)}rollouts/step-{step:06d}.jsonl"


def held_out(project: str, job_id: str) -> str:
    """What the base model and the tuned one said on each validation row."""
    return f"{job(project, job_id)}held_out.jsonl"


def comparison(project: str, job_id: str) -> str:
    """The same for people to read: a page of tables."""
    return f"{job(project, job_id)}comparison.md"


BASE_MODELS = "models/"


def base_model(model_id: str, revision: str | None) -> str:
    """Prefix of one revision of a base model's weights, shared by all projects. What lies there never becomes
    other weights, whoever reads it: another revision lies elsewhere."""
    return f"{BASE_MODELS}{model_id}/{revision or 'unpinned'}/"


def weights_manifest(model_id: str, revision: str | None) -> str:
    """Written last: where it is, the weights are whole."""
    return f"{base_model(model_id, revision)}manifest.json"


def body(project: str, object_id: str, name: str) -> str:
    """A large part of a stored completion or response, which its row has no room for."""
    return f"projects/{project}/bodies/{object_id}/{name}"
