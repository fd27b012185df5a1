"""The validation file in a run: evaluated before, during and after training, and compared."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from outcrop.training_spec import TrainingSpec
from training_image.trainer import comparison, held_out
from training_image.trainer.evaluate import Evaluation
from training_image.trainer.history import History
from training_image.trainer.publish import Publisher
from training_image.trainer.rewards import Graded, check, failures, judges_tokens
from training_image.trainer.step_events import StepEvents


class Validation:
    def __init__(
        self,
        spec: TrainingSpec,
        rows: Sequence[dict[str, Any]],
        history: History,
        publisher: Publisher,
        events: StepEvents,
    ) -> None:
        self.latest: Sequence[Graded] = ()
        """Every completion of the latest evaluation."""
        self.seconds = 0.0
        """That it took."""
        self._figures: dict[str, Any] = {}
        self._spec = spec
        self._rows = rows
        self._history = history
        self._publisher = publisher
        self._events = events
        self._classes = comparison.classes(rows)

    def note(self, step: int, made: Evaluation) -> None:
        """Raises: GraderFailing if too many completions could not be graded."""
        self.latest, self.seconds = made.all, made.seconds
        self._publisher.evaluation(step, made)
        limit = self._spec.hyperparameters.grader_failure_limit
        check(self.latest, limit, is_first=step == 0, of="of the validation rows")
        failed = failures(self.latest)
        self._history.failing_in_evaluation.add(len(self.latest), failed, window=1)
        greedy, drawn = rewards_by_row(made.greedy), rewards_by_row(made.drawn)
        likeliest, sampled = comparison.estimate(greedy), comparison.estimate(drawn)
        if likeliest is None:
            return
        self._history.evaluations[step] = likeliest.mean
        if sampled:
            self._history.sampled_evaluations[step] = sampled.mean
        self._history.note_rows(rewards_by_row(self.latest))
        self._history.commonest_answer[step] = self._commonest_answer(made.greedy)
        self._figures = {
            "full_valid_mean_reward": likeliest.mean,
            "valid_reward_mean": likeliest.mean,
            **self._figures_of("valid_reward", greedy),
            **({"valid_sampled_reward_mean": sampled.mean} if sampled else {}),
            **self._figures_of("valid_sampled_reward", drawn),
            "valid_errors": failed,
        }
        if step == 0:
            drawn_at = (
                f"; of completions drawn at temperature {made.temperature:g} {sampled}" if sampled else ""
            )
            self._events.append(
                "info",
                f"Base model: validation mean reward {likeliest} on {likeliest.rows} rows{drawn_at}.",
                data={
                    "step": 0,
                    **self._figures,
                    "model_graders_token_usage": judges_tokens(train=(), evaluated=self.latest),
                },
            )

    def figures(self) -> dict[str, Any]:
        """Of the latest evaluation, for its event."""
        return self._figures

    def _figures_of(self, name: str, rewards: Mapping[int, float]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if estimate := comparison.estimate(rewards):
            found[f"{name}_interval"] = [estimate.low, estimate.high]
        if by_class := comparison.by_class(rewards, self._classes):
            found[f"{name}_by_class"] = {name: one.mean for name, one in by_class.items()}
            found[f"{name}_interval_by_class"] = {name: [one.low, one.high] for name, one in by_class.items()}
        return found

    def compare(self, step: int) -> None:
        """The base model and that of `step`, row by row, as files of the job, and in one event."""
        base, tuned = (self._publisher.read_evaluation(at) for at in (0, step))
        rows = held_out.rows(base, tuned, self._classes)
        found = held_out.compare(rows)
        if found is None:
            return
        self._publisher.comparison(rows, held_out.page(rows, found, step=step))
        told = f"On the validation file: {found.greedy}."
        if drawn := found.drawn:
            told += f" Drawn as in training: base model {drawn.base}, tuned model {drawn.tuned}."
        self._events.append(
            "info" if found.greedy.is_real else "warn",
            told,
            data={"step": step, **found.to_json()},
        )

    def _commonest_answer(self, graded: Sequence[Graded]) -> float:
        """The share of rows that get the commonest answer; 0 if they ask for one and the same, or are few."""
        wanted = {str(self._rows[one.index].get("reference_answer")) for one in graded}
        if len(wanted) < 2 or len(graded) < 8:
            return 0.0
        return Counter(one.completion.strip() for one in graded).most_common(1)[0][1] / len(graded)


def rewards_by_row(graded: Sequence[Graded]) -> dict[int, float]:
    """The mean reward of each row's completions that have one."""
    return comparison.by_row((one.index, one.reward.reward) for one in graded)
