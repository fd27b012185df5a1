"""What moto's interpreter of state machines makes anew at every turn, made once.

Reading the training workflow's definition takes 60 ms, at its creation and at each start; the client of a
service takes 6 ms for every task, and a JSON path is compiled whenever it is followed. All three depend on
nothing but their arguments. It touches private names of moto, as `local/moto_patches.py` does.
"""

import pickle
import sys
from functools import cache, lru_cache
from typing import Any

import boto3
import moto.stepfunctions.parser.asl.parse.preprocessor  # noqa: F401 - loads every module that makes clients
from moto.core.models import botocore_stubber
from moto.settings import moto_server_port
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import boto_client, json_path

_parse = AmazonStateLanguageParser.parse
_client = boto_client.boto_client_for
_paths = [(module, cache(module.parse)) for module in (json_path, result_path)]


def remember() -> None:
    AmazonStateLanguageParser.parse = staticmethod(_copy_of_program)
    for module, compiled in _paths:
        vars(module)["parse"] = compiled
    for module in list(sys.modules.values()):  # the interpreter's modules import it by name
        if getattr(module, "__name__", "").startswith(("moto.stepfunctions.", "local.")) and hasattr(
            module, _client.__name__
        ):
            vars(module)[_client.__name__] = client_for


def client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    port = None if botocore_stubber.enabled else moto_server_port()
    return _client_of(boto3.DEFAULT_SESSION, port, region, service)


def _copy_of_program(definition: str) -> tuple[Any, Any]:
    """Every execution has a program of its own, as before."""
    program, tree = _read(definition)
    return pickle.loads(program), tree  # noqa: S301 - pickled three lines below


@lru_cache(maxsize=16)
def _read(definition: str) -> tuple[bytes, Any]:
    program, tree = _parse(definition)
    return pickle.dumps(program), tree


@lru_cache(maxsize=16)
def _client_of(session: boto3.Session | None, port: str | None, region: str, service: str) -> Any:
    """`session` and `port` are what a client is made from, beside its arguments."""
    return _client(region, service)
