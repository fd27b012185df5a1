"""What SIGTERM ends at once, and what it lets come to its end."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from outcrop.graders.dispatch import Dispatcher, Round
from outcrop.graders.reward import GradedCompletion, Outcome
from training_image.trainer.stopping import Interrupted, Stop, heeding_sigterm


@pytest.fixture
def stop() -> Iterator[Stop]:
    before = signal.getsignal(signal.SIGTERM)
    yield heeding_sigterm()
    signal.signal(signal.SIGTERM, before)


class HangingGrader:
    batch_limit = 1

    def __init__(self) -> None:
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
        self.is_asked.set()
        self.may_answer.wait(60)
        return []

    def close(self) -> None: ...


def _sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_rewards_that_do_not_come_are_waited_for_no_longer(stop: Stop) -> None:
    grader = HangingGrader()
    round = Round(Dispatcher(grader, concurrency=2, patience_seconds=60))

    def terminate() -> None:
        grader.is_asked.wait(60)
        time.sleep(0.05)  # for the main thread to wait
        _sigterm()

    began = time.monotonic()
    threading.Thread(target=terminate).start()
    with pytest.raises(Interrupted), stop.interrupts():
        round.grade([GradedCompletion({"messages": []}, "HI", [], "stop")])

    assert time.monotonic() - began < 10
    grader.may_answer.set()


def test_what_is_not_to_be_interrupted_comes_to_its_end(stop: Stop) -> None:
    _sigterm()

    assert stop.is_set()


def test_what_comes_after_the_signal_does_not_begin(stop: Stop) -> None:
    _sigterm()

    with pytest.raises(Interrupted), stop.interrupts():
        pytest.fail("It has begun.")


def test_the_signal_passes_those_who_catch_every_error(stop: Stop) -> None:
    with pytest.raises(Interrupted), stop.interrupts():
        try:
            _sigterm()
        except Exception:
            pytest.fail("It was caught.")
