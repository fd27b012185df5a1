"""The one AWS account of the emulator, and the environment in which a process sees it and no other.

Processes of the local loop get an environment made from nothing but what follows: no real credential, profile
or endpoint of the user reaches a handler, a grader or a trainer.
"""

import os

ACCOUNT = "123456789012"
REGION = "us-west-2"

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


def environment(endpoint_url: str) -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {
        "AWS_ACCESS_KEY_ID": "outcrop-local",
        "AWS_SECRET_ACCESS_KEY": "outcrop-local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONUNBUFFERED": "1",
        # How long OpenMP's threads spin before they sleep. Long spinning (the default) starves whatever else
        # runs here; none at all (PASSIVE) makes sampling half as slow again on an idle machine.
        "GOMP_SPINCOUNT": "20000",
    }


def function_arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
