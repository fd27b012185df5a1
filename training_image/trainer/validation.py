"""The validation file in a run: evaluated before, during and after training, and compared."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from outcrop.training_spec import TrainingSpec
from training_image.trainer import comparison
from training_image.trainer.evaluate import Evaluator
from training_image.trainer.history import History
from training_image.trainer.publish import Publisher
from training_image.trainer.rewards import Graded, check, failures, judges_tokens, mean_reward
from training_image.trainer.step_events import StepEvents


class Validation:
    def __init__(
        self,
        spec: TrainingSpec,
        evaluator: Evaluator,
        history: History,
        publisher: Publisher,
        events: StepEvents,
    ) -> None:
        self.latest: Sequence[Graded] = ()
        self._spec = spec
        self._evaluator = evaluator
        self._history = history
        self._publisher = publisher
        self._events = events
        self._classes = comparison.classes(evaluator.rows)

    @property
    def seconds(self) -> float:
        """That the latest evaluation took."""
        return self._evaluator.seconds

    def evaluate(self, model: Any, step: int) -> None:
        """Raises: GraderFailing if too many completions could not be graded."""
        graded = self._evaluator.evaluate(model)
        self.latest = graded
        self._publisher.evaluation(step, graded)
        limit = self._spec.hyperparameters.grader_failure_limit
        check(graded, limit, is_first=step == 0, of="of the validation rows")
        failed = failures(graded)
        self._history.failing_in_evaluation.add(len(graded), failed, window=1)
        reward = mean_reward(graded)
        if reward is None:
            return
        self._history.evaluations[step] = reward
        self._history.commonest_answer[step] = self._commonest_answer(graded)
        if step == 0:
            estimate = comparison.estimate(rewards_by_row(graded))
            self._events.append(
                "info",
                f"Base model: validation mean reward {estimate} on {len(graded) - failed.total()} rows.",
                data={
                    "step": 0,
                    "full_valid_mean_reward": reward,
                    "valid_errors": failed,
                    "model_graders_token_usage": judges_tokens(train=(), evaluated=graded),
                    **self.figures(),
                },
            )

    def figures(self) -> dict[str, Any]:
        """Of the latest evaluation, for its event."""
        rewards = rewards_by_row(self.latest)
        estimate = comparison.estimate(rewards)
        by_class = comparison.by_class(rewards, self._classes)
        found: dict[str, Any] = {}
        if estimate:
            found["valid_reward_interval"] = [estimate.low, estimate.high]
        if by_class:
            found["valid_reward_by_class"] = {name: one.mean for name, one in by_class.items()}
        return found

    def compare(self, step: int) -> None:
        """The base model and that of `step`, row by row, as a file of the job, and in one event."""
        base, tuned = (self._publisher.read_evaluation(at) for at in (0, step))
        if not base or not tuned:
            return
        rewards = [_by_row((line["index"], line["reward"]) for line in lines) for lines in (base, tuned)]
        found = comparison.compare(*rewards)
        if found is None:
            return
        self._publisher.comparison(base, tuned, self._classes)
        before, after = (comparison.by_class(one, self._classes) for one in rewards)
        self._events.append(
            "info" if found.is_real else "warn",
            f"On the validation file: {found}.",
            data={
                "step": step,
                "comparison": found.to_json(),
                "by_class": {
                    name: {"base": before[name].mean, "tuned": after[name].mean, "rows": after[name].rows}
                    for name in after
                    if name in before
                },
            },
        )

    def _commonest_answer(self, graded: Sequence[Graded]) -> float:
        """The share of rows that get the commonest answer; 0 if they ask for one and the same, or are few."""
        wanted = {str(self._evaluator.rows[one.index].get("reference_answer")) for one in graded}
        if len(wanted) < 2 or len(graded) < 8:
            return 0.0
        return Counter(one.completion.strip() for one in graded).most_common(1)[0][1] / len(graded)


def rewards_by_row(graded: Sequence[Graded]) -> dict[int, float]:
    """The mean reward of each row's completions that have one."""
    return _by_row((one.index, one.reward.reward) for one in graded)


def _by_row(rewards: Iterable[tuple[int, float | None]]) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for row, reward in rewards:
        if reward is not None:
            found.setdefault(row, []).append(reward)
    return {row: fmean(values) for row, values in found.items()}
