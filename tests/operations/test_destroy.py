"""`outcrop destroy`: nothing is left behind but what is said to stay, in an order that AWS allows, also after
it was cut short at whatever call."""

import itertools
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from outcrop.cli.main import app
from outcrop.operations.destroy import whole
from outcrop.operations.destroy.kind import Watch
from outcrop.stores import deployed
from outcrop.stores.refusals import DeploymentError
from tests.command_process import command_process
from tests.fakes.answers import Answers, Parameters, answering
from tests.operations.healthy import ACCOUNT, BUCKET, REGION, TABLE
from tests.operations.standing import EXECUTION, REPOSITORY, Standing

OF_OTHERS = {
    "endpoint": ["of-others-outcrop-like"],
    "imported": ["somebody-elses"],
    "table": ["of-others"],
    "group": ["OutcroppingOfOthers"],
}


class CutShort(BaseException):
    """Ctrl-C, a lid that closes, a power cut."""


class Account(Answers):
    """Cuts whoever asks short at the call of that number."""

    def __init__(self) -> None:
        super().__init__()
        self.cut_at = 0
        self._calls = itertools.count(1)

    def on_call(self, model: object, context: dict[str, object]) -> object:
        if next(self._calls) == self.cut_at:
            raise CutShort
        return super().on_call(model, context)


@pytest.fixture
def account() -> Iterator[Account]:
    answers = Account()
    with command_process(), answering(answers):
        yield answers


def destroy(*, keep_data: bool = False) -> list[str]:
    """What was said while it went. Time passes as it is waited for."""
    said: list[str] = []
    passed = [0.0]
    plan = whole.plan(deployed.find(), keep_data=keep_data)
    watch = Watch(lambda: passed[0], lambda seconds: passed.__setitem__(0, passed[0] + seconds), said.append)
    whole.destroy(plan, watch)
    return said


def test_nothing_is_left_but_what_is_others(account: Account) -> None:
    standing = Standing(account)

    said = destroy()

    assert standing.left() == OF_OTHERS
    assert said.index("stack OutcropApi") < said.index(f"execution {EXECUTION}")
    assert said.index(f"execution {EXECUTION}") < said.index("training job ftjob-1-1")
    assert said.index("endpoint outcrop-tiny") < said.index("stack OutcropServing")
    assert said.index(f"bucket {BUCKET}") < said.index("stack OutcropStorage")
    assert len(said) == len(set(said))


def test_with_keep_data_the_storage_stack_stays_as_it_is(account: Account) -> None:
    standing = Standing(account)

    destroy(keep_data=True)

    left = standing.left()
    assert left["stack"] == ["OutcropStorage"]
    assert (left["bucket"], left["table"]) == ([BUCKET], [TABLE, "of-others"])
    assert len(left["object"]) == 3
    assert "repository" not in left
    assert "endpoint" not in left or left["endpoint"] == OF_OTHERS["endpoint"]


def test_cut_short_at_whatever_call_the_next_try_finishes() -> None:
    for cut_at in itertools.count(1, 13):
        account = Account()
        with command_process(), answering(account):
            standing = Standing(account)
            account.cut_at = cut_at
            try:
                destroy()
            except CutShort:
                destroy()
            else:
                return
            assert standing.left() == OF_OTHERS, cut_at


def test_what_stacks_left_that_were_deleted_by_other_means_goes_too(account: Account) -> None:
    standing = Standing(account)
    for kind in ("stack", "rule", "execution"):
        standing.there[kind].clear()

    destroy()

    assert standing.left() == OF_OTHERS


def test_where_nothing_is_nothing_is_asked_to_go(account: Account) -> None:
    standing = Standing(account)
    for kind in standing.there.values():
        kind.clear()

    assert destroy() == []
    assert not any("Delete" in call or "Stop" in call for call, _ in account.asked)


def test_a_protected_stack_is_told_with_what_lets_it_go(account: Account) -> None:
    Standing(account).protected.add("OutcropServing")

    with pytest.raises(
        DeploymentError, match="--no-enable-termination-protection --stack-name OutcropServing"
    ):
        destroy()


def test_what_does_not_go_within_an_hour_is_named(account: Account) -> None:
    standing = Standing(account)
    standing.there["interface"]["eni-stuck"] = None

    with pytest.raises(DeploymentError, match="network interface eni-stuck is still there after an hour"):
        destroy()
    assert TABLE in standing.there["table"]


def test_what_may_not_be_deleted_is_named(account: Account) -> None:
    Standing(account)
    account.refuse("sagemaker.StopTrainingJob", "AccessDeniedException", "no", 403)

    with pytest.raises(DeploymentError, match=r"ftjob-1-1 cannot be deleted. .* StopTrainingJob"):
        destroy()


def test_the_command_shows_first_and_deletes_nothing_unconfirmed(account: Account) -> None:
    standing = Standing(account)
    before = standing.left()

    result = CliRunner().invoke(app, ["destroy"], input="yes\n")

    assert result.exit_code == 1, result.output
    assert standing.left() == before
    for shown in ("stack: OutcropMonitoring, OutcropApi", "imported model: outcrop-ftjob-1", "What stays:"):
        assert shown in result.output
    assert f"image repository: {REPOSITORY}" in result.output
    assert f"Type {ACCOUNT}/{REGION} to delete this for good" in result.output
    assert "Nothing was deleted." in result.output


def test_the_command_deletes_what_was_confirmed(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    standing = Standing(account)
    monkeypatch.setattr("time.sleep", lambda _: None)

    result = CliRunner().invoke(app, ["destroy"], input=f"{ACCOUNT}/{REGION}\n")
    again = CliRunner().invoke(app, ["destroy", "--yes"])

    assert result.exit_code == 0, result.output
    assert "Everything is gone" in result.output
    assert standing.left() == OF_OTHERS
    assert (again.exit_code, "nothing of Outcrop" in again.output) == (0, True)


def test_a_stack_that_is_being_deployed_is_waited_for(account: Account) -> None:
    standing = Standing(account)
    looks = itertools.count()

    def deploying(given: dict[str, list[dict[str, str]]], _: Parameters) -> None:
        for one in given["Stacks"]:
            if one["StackName"] == "OutcropApi" and next(looks) < 4:
                one["StackStatus"] = "UPDATE_IN_PROGRESS"

    account.changed("cloudformation.DescribeStacks", deploying)

    destroy()

    assert standing.left() == OF_OTHERS
