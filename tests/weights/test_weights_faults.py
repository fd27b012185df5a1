"""Whatever the server does, the bucket ends with weights that are whole, or without a manifest and with a
reason that names the file; and with no upload left open.
"""

import hashlib
import json
from contextlib import nullcontext
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outcrop.base_models import BaseModel
from outcrop.operations import weights
from outcrop.settings import settings as outcrop_settings
from outcrop.stores import secrets
from tests.account import BUCKET
from tests.fakes.hugging_face import Fault, HuggingFace
from tests.weights.conftest import (
    FILES,
    INDEX,
    PART,
    SHARD,
    Sync,
    folder,
    objects,
    open_uploads,
    time_for_one_part,
)

BIG, SMALL = "model-1.safetensors", "config.json"
FEW = {path: FILES[path] for path in (BIG, SMALL, "tokenizer.json")}


@pytest.fixture(autouse=True)
def _few_files(hub: HuggingFace) -> None:
    hub.files = dict(FEW)


def assert_whole_or_nothing(model: BaseModel, problem: str) -> None:
    found = objects(model)
    assert open_uploads() == []
    assert ("manifest.json" in found) == (problem == "")
    if problem:
        assert any(name in problem for name in (*FILES, "list of files")), problem
    else:
        manifest = json.loads(found.pop("manifest.json"))
        assert found == FEW
        sums = {file["path"]: file["sha256"] for file in manifest["files"]}
        assert sums == {path: hashlib.sha256(content).hexdigest() for path, content in found.items()}


@pytest.mark.parametrize(
    ("faults", "waits"),
    [
        ([Fault("throttled", BIG, seconds=17)], [17]),
        ([Fault("throttled", "tree", seconds=40)], [40]),
        ([Fault("throttled", BIG, seconds=90_000)], [3600]),
        ([Fault("unavailable", BIG, times=3)], [5, 10, 20]),
        ([Fault("cdn_forbids", BIG)], [5]),
        ([Fault("dropped", BIG, after=PART * 2)], []),
        ([Fault("dropped", BIG, after=1, times=20)], []),
        ([Fault("dropped", BIG)], [5]),
        ([Fault("dropped", BIG, after=100_000), Fault("throttled", BIG, times=0)], []),
        ([Fault("cut_short", BIG, after=100_000)], []),
        ([Fault("dropped", BIG, after=100_000), Fault("ignores_range", BIG)], []),
        ([Fault("dropped", SMALL, after=3)], []),
    ],
    ids=lambda value: "+".join(one.kind for one in value) if value and isinstance(value[0], Fault) else None,
)
def test_trouble_that_passes_is_waited_for_or_gone_on_after(
    sync: Sync, hub: HuggingFace, model: BaseModel, faults: list[Fault], waits: list[int]
) -> None:
    hub.faults = [Fault(**vars(fault)) for fault in faults]

    problem = sync.run()

    assert (problem, sync.waits) == ("", waits)
    assert_whole_or_nothing(model, problem)


def test_after_a_broken_connection_only_the_rest_is_fetched(sync: Sync, hub: HuggingFace) -> None:
    hub.faults = [Fault("dropped", BIG, after=100_000)]

    sync.run()

    assert hub.starts(BIG) == [0, 100_000]
    assert hub.sent[BIG] == len(SHARD)


@pytest.mark.parametrize(
    ("faults", "problem"),
    [
        (
            [Fault("throttled", BIG, times=99, seconds=1)],
            f"{BIG}: 127.0.0.1 answers 429. So it went 10 times in a row.",
        ),
        (
            [Fault("dropped", BIG, times=99)],
            f"{BIG}: the connection breaks at byte 0 (RemoteProtocolError). So it went 10 times in a row.",
        ),
        (
            [Fault("dropped", BIG, after=100_000), Fault("wrong_range", BIG)],
            f"{BIG}: asked for bytes from 100000, the server sends others.",
        ),
        ([Fault("wrong_length", BIG)], f"{BIG}: 262143 bytes are sent, 262144 are listed."),
        ([Fault("web_page", BIG)], f"{BIG}: 24 bytes are sent, 262144 are listed."),
        ([Fault("too_long", BIG)], f"{BIG}: more than the 262144 bytes listed."),
        ([Fault("redirect_loop", BIG)], f"{BIG}: more than 5 redirects."),
        (
            [Fault("missing", "tree")],
            "The list of files: 127.0.0.1 does not have it at revision "
            "12fd25f77366fa6b3b4b768ec3050bf629380bac of HuggingFaceTB/SmolLM2-135M-Instruct "
            "(RevisionNotFound).",
        ),
    ],
    ids=lambda value: "+".join(one.kind for one in value) if isinstance(value, list) else None,
)
def test_what_does_not_pass_is_told_with_the_files_name(
    sync: Sync, hub: HuggingFace, model: BaseModel, faults: list[Fault], problem: str
) -> None:
    hub.faults = [Fault(**vars(fault)) for fault in faults]

    assert sync.run() == problem
    assert_whole_or_nothing(model, problem)


@pytest.mark.parametrize("path", [BIG, SMALL])
def test_other_content_than_was_listed_is_refused_before_it_becomes_an_object(
    sync: Sync, hub: HuggingFace, model: BaseModel, path: str
) -> None:
    hub.faults = [Fault("corrupt", path)]

    problem = sync.run()

    assert problem.startswith(f"{path}: its content is not the one listed, ")
    assert path not in objects(model)
    assert_whole_or_nothing(model, problem)


def test_other_content_is_refused_where_one_step_went_on_after_another(
    sync: Sync, hub: HuggingFace, model: BaseModel
) -> None:
    hub.faults = [Fault("corrupt", BIG, after=10)]
    with time_for_one_part(sync):
        problem = sync.run()

    assert len(hub.starts(BIG)) > 1
    assert problem.startswith(f"{BIG}: its content is not the one listed, sha256:")
    assert BIG not in objects(model)
    assert_whole_or_nothing(model, problem)


def test_the_next_sync_fetches_only_what_the_last_one_did_not_get(
    sync: Sync, hub: HuggingFace, model: BaseModel
) -> None:
    hub.faults = [Fault("corrupt", BIG)]
    first = sync.run()
    sent = dict(hub.sent)

    second = sync.run()

    assert (bool(first), second) == (True, "")
    assert {path for path in hub.sent if hub.sent[path] != sent.get(path)} == {BIG}
    assert_whole_or_nothing(model, second)


@pytest.mark.parametrize(
    ("kind", "path", "token", "said"),
    [
        ("gated", "tree", "", "is gated or does not exist (status 403). Accept the model's terms at"),
        ("unauthorized", BIG, "", "is gated or does not exist (status 401). Accept the model's terms at"),
        ("gated", BIG, "hf_x", "the token in the secret may not read HuggingFaceTB/SmolLM2-135M-Instruct"),
    ],
)
def test_a_gated_repository_is_told_with_what_to_do(
    sync: Sync,
    hub: HuggingFace,
    model: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
    kind: Any,
    path: str,
    token: str,
    said: str,
) -> None:
    if token:
        client: Any = boto3.client("secretsmanager")
        arn = client.create_secret(Name="hugging-face", SecretString=token)["ARN"]
        monkeypatch.setenv("OUTCROP_HUGGING_FACE_SECRET", arn)
        outcrop_settings.cache_clear()
        secrets.text.cache_clear()
    hub.faults = [Fault(kind, path, times=99)]

    problem = sync.run()

    assert said in problem
    assert f"{hub.hub_url}/HuggingFaceTB/SmolLM2-135M-Instruct" in problem
    assert "hf_x" not in problem
    assert_whole_or_nothing(model, problem)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (
            {BIG: {"lfs": {"oid": "0" * 64, "size": 1}}},
            f"{BIG}: its content is not the one listed, sha256:000",
        ),
        ({BIG: {"size": 7}}, f"{BIG}: 262144 bytes are sent, 7 are listed."),
        ({BIG: {"size": -7}}, f"{BIG}: its size or checksum is listed in a way that is none."),
        ({BIG: {"lfs": {"oid": "../../x"}}}, f"{BIG}: its size or checksum is listed in a way that is none."),
        ({SMALL: {"path": "../../config.json"}}, "has no config.json: these are no weights to train on."),
    ],
)
def test_a_list_that_lies_is_found_out(
    sync: Sync, hub: HuggingFace, model: BaseModel, listed: dict[str, dict[str, Any]], said: str
) -> None:
    hub.listed = listed

    problem = sync.run()

    assert said in problem
    assert_whole_or_nothing(model, problem)


def test_weights_that_lack_a_file_of_their_index_are_not_whole(
    sync: Sync, hub: HuggingFace, model: BaseModel
) -> None:
    hub.files["model.safetensors.index.json"] = INDEX

    problem = sync.run()

    assert (
        problem == "model.safetensors.index.json names model-2.safetensors, which is not in the repository."
    )
    assert_whole_or_nothing(model, problem)


def test_a_list_that_goes_on_at_another_address_is_refused(
    sync: Sync, hub: HuggingFace, model: BaseModel
) -> None:
    hub.page_size, hub.next_page_host = 2, hub.cdn_url

    problem = sync.run()

    assert (
        problem == "The list of files of HuggingFaceTB/SmolLM2-135M-Instruct goes on elsewhere, at 127.0.0.1."
    )
    assert [one for one in hub.requests if one.server == "cdn"] == []


def test_weights_of_before_stay_as_long_as_there_is_no_list_of_new_ones(
    sync: Sync, hub: HuggingFace, model: BaseModel
) -> None:
    sync.run()
    hub.faults = [Fault("missing", "tree")]

    problem = sync.run()

    assert problem
    assert weights.status(model).state == "complete"


FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(
        [
            "throttled",
            "unavailable",
            "dropped",
            "cut_short",
            "ignores_range",
            "wrong_range",
            "wrong_length",
            "too_long",
            "corrupt",
            "web_page",
            "gated",
            "missing",
            "cdn_forbids",
        ]
    ),
    path=st.sampled_from([BIG, BIG, SMALL, "tree"]),
    times=st.sampled_from([1, 1, 2, 30]),
    after=st.sampled_from([0, 1, 3, PART - 1, PART, PART + 1, 3 * PART]),
    seconds=st.sampled_from([None, 0, 7]),
)


def whatever_the_server_does(
    sync: Sync, hub: HuggingFace, model: BaseModel, faults: list[Fault], is_short_of_time: bool
) -> None:
    client: Any = boto3.client("s3")
    for path in objects(model):
        client.delete_object(Bucket=BUCKET, Key=f"{folder(model)}{path}")
    hub.faults = [Fault(**vars(fault)) for fault in faults]

    with time_for_one_part(sync) if is_short_of_time else nullcontext():
        problem = sync.run()

    assert_whole_or_nothing(model, problem)
    hub.faults = []
    assert_whole_or_nothing(model, sync.run())


_given = given(faults=st.lists(FAULTS, max_size=5), is_short_of_time=st.booleans())
_fixtures_stay = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=_fixtures_stay)
@_given
def test_whatever_the_server_does_weights_are_whole_or_absent(
    sync: Sync, hub: HuggingFace, model: BaseModel, faults: list[Fault], is_short_of_time: bool
) -> None:
    whatever_the_server_does(sync, hub, model, faults, is_short_of_time)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=_fixtures_stay)
@_given
def test_whatever_the_server_does_at_length(
    sync: Sync, hub: HuggingFace, model: BaseModel, faults: list[Fault], is_short_of_time: bool
) -> None:
    whatever_the_server_does(sync, hub, model, faults, is_short_of_time)
