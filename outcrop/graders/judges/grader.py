"""The graders `score_model`, `label_model` and `model_as_judge`: a question to a judge, and its verdict as a
reward.
"""

from collections.abc import Sequence

from outcrop.graders.calls import Calls
from outcrop.graders.judges import prompt, verdict
from outcrop.graders.judges.judge import Judge, Question
from outcrop.graders.reward import LARGEST_REWARD, GradedCompletion, GradingError, Outcome
from outcrop.types.judge import DEFAULT, BedrockJudge, Judges, OpenAIJudge, find
from outcrop.types.judge_grader import LabelModelGrader, ModelAsJudgeGrader, SamplingParams, ScoreModelGrader

Definition = ScoreModelGrader | LabelModelGrader | ModelAsJudgeGrader


class JudgeGrader:
    batch_limit = 1

    def __init__(self, grader: Definition, judge: Judge) -> None:
        self._grader = grader
        self._judge = judge
        self._form = verdict.form_of(grader)

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
        """An outcome per completion, in order; tokens are counted where there is no verdict, too."""
        return [self._outcome(completion) for completion in completions]

    def close(self) -> None:
        self._judge.close()

    def _outcome(self, completion: GradedCompletion) -> Outcome:
        try:
            answer = self._judge.ask(self._question(completion))
        except GradingError as error:
            return error
        outcome = verdict.read(answer, self._form)
        outcome.tokens[self._judge.model] = answer.tokens
        return outcome

    def _question(self, completion: GradedCompletion) -> Question:
        """Raises: GradingError where a variable is not there."""
        grader, words = self._grader, self._form.words
        if isinstance(grader, ModelAsJudgeGrader):
            messages = prompt.of_instructions(grader.instructions, words, completion)
        else:
            messages = prompt.of_messages(grader.input, words, completion)
        sampling = grader.sampling_params if isinstance(grader, ScoreModelGrader) else SamplingParams()
        return Question(messages, self._form.schema, sampling)


def open_judge(grader: Definition, judges: Judges, calls: Calls) -> JudgeGrader:
    """Raises: GradingError if the deployment has no such judge."""
    return JudgeGrader(grader, _connected(_judge_of(grader, judges), calls))


def check(grader: Definition, judges: Judges) -> None:
    """Raises: GradingError for a range that holds no reward, or a judge that the deployment does not have."""
    if isinstance(grader, ScoreModelGrader) and max(map(abs, grader.range)) > LARGEST_REWARD:
        message = f"A reward has to be a number within ±{LARGEST_REWARD:g}."
        raise GradingError("invalid_reward", message, field="range")
    _judge_of(grader, judges)


def _connected(judge: BedrockJudge | OpenAIJudge, calls: Calls) -> Judge:
    # Each imports its library at first use: few functions ask judges.
    if isinstance(judge, BedrockJudge):
        from outcrop.graders.judges.bedrock import Bedrock

        return Bedrock(judge, calls)
    from outcrop.graders.judges.openai_compatible import OpenAICompatible

    return OpenAICompatible(judge, calls)


def _judge_of(grader: Definition, judges: Judges) -> BedrockJudge | OpenAIJudge:
    found = judges.get(DEFAULT) if grader.model is None else find(judges, grader.model)
    if found is not None:
        return found
    if grader.model is None:
        wanted = f"Name a 'model', or have a judge '{DEFAULT}' added"
    else:
        wanted = "Name one it has, or a Bedrock model id, or have this one added"
    has = ", ".join(judges) or "none"
    message = (
        f"This deployment has no judge '{grader.model or DEFAULT}' (it has: {has}). {wanted} (`judges` in "
        "cdk.json, `--judge` of `outcrop local`)."
    )
    raise GradingError("other_error", message, field="model")
