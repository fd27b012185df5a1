"""One SageMaker training job as a process: what is asked of it, what it is doing, and how it ends."""

import copy
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.training_container import Container, InputError
from local.training_faults import Fault, without_a_machine

if TYPE_CHECKING:
    from local.training_jobs import TrainingJobs

_POLL_SECONDS = 0.1
_SOURCES = Path(__file__).resolve().parents[1]
_TETHER = Path(__file__).with_name("tether.py")

logger = logging.getLogger(__name__)


class _Closed(Exception):
    """The emulator ends; there is nothing more to do for this job."""


class TrainingJob:
    def __init__(self, jobs: "TrainingJobs", request: Mapping[str, Any], fault: Fault | None) -> None:
        self.name: str = request["TrainingJobName"]
        self.thread = threading.Thread(target=self._run, name=f"training-job-{self.name}", daemon=True)
        self.close_at: float | None = None
        self._jobs = jobs
        self._request = copy.deepcopy(dict(request))
        self._fault: Fault | None = fault
        self._lock = threading.RLock()
        self._status = "InProgress"
        self._created = datetime.now(UTC)
        self._transitions: list[dict[str, Any]] = []
        self._began: float | None = None
        """When it came to train, by `time.monotonic`: what it took is no matter of the wall clock."""
        self._seconds = 0
        self._failure_reason: str | None = None
        self._stops_as: str | None = None
        self._enter("Starting")

    def stop(self, becomes: str = "Stopped") -> str:
        """`becomes` is the secondary status it ends with; the status before is returned."""
        with self._lock:
            before = self._status
            if before == "InProgress":
                self._stops_as = becomes
                self._status = "Stopping"
                self._enter("Stopping")
            return before

    def describe(self) -> dict[str, Any]:
        with self._lock:
            began = [one["StartTime"] for one in self._transitions if one["Status"] == "Training"]
            last = self._transitions[-1]
            ended = last["StartTime"] if self._status in ("Completed", "Stopped", "Failed") else None
            output = self._request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
            described = {key: value for key, value in self._request.items() if key != "Tags"} | {
                "TrainingJobStatus": self._status,
                "SecondaryStatus": last["Status"],
                "SecondaryStatusTransitions": copy.deepcopy(self._transitions),
                "CreationTime": self._created,
                "LastModifiedTime": last["StartTime"],
                "ModelArtifacts": {"S3ModelArtifacts": f"{output}/{self.name}/output/model.tar.gz"},
            }
            if began:
                described["TrainingStartTime"] = began[0]
            if ended:
                described["TrainingEndTime"] = ended
                described["TrainingTimeInSeconds"] = described["BillableTimeInSeconds"] = self._seconds
            if self._failure_reason:
                described["FailureReason"] = self._failure_reason
            return described

    def _run(self) -> None:
        try:
            self._end(*self._outcome())
        except _Closed:
            pass
        except InputError as error:
            self._end("Failed", str(error))
        except Exception as error:  # whatever happens here, the job must come to an end
            logger.exception("training job failed in the emulator", extra={"training_job": self.name})
            self._end("Failed", f"InternalServerError: {type(error).__name__}: {error}")

    def _outcome(self) -> tuple[str, str | None]:
        """Run the container, inputs to outputs: the status it ends with, and why if that is Failed."""
        container = Container(
            self._jobs.root / self.name, self._request, self._jobs.s3, self._jobs.linked_channels
        )
        if self._fault and (refusal := without_a_machine(self._fault)):
            self._enter("Pending")
            if refusal.waited_for:
                self._created -= timedelta(seconds=self._request["StoppingCondition"][refusal.waited_for])
            self._stops_as = refusal.stops_as
            return "Failed", refusal.reason
        exit_code: int | None = None
        while exit_code is None:
            self._enter("Downloading")
            container.prepare()
            if self.close_at:
                raise _Closed
            if self._stops_as:
                return "Stopped", None
            self._enter("Training")
            exit_code = self._train(container)
            if exit_code is None:
                self._enter("Interrupted")
        if container.checkpoints:
            container.checkpoints.sync()
        if self.close_at:
            raise _Closed
        self._enter("Uploading")
        container.collect()
        return ("Failed", container.failure_reason(exit_code)) if exit_code else ("Completed", None)

    def _train(self, container: Container) -> int | None:
        """The container's exit code; None if its spot instance was taken away."""
        environment = {
            **self._jobs.environment,
            **self._request.get("Environment", {}),
            "OUTCROP_ML_ROOT": str(container.root.absolute()),
            "TRAINING_JOB_NAME": self.name,
        }
        # Without grace in the tether: when this process dies there is no S3 left to save to.
        tether = [sys.executable, str(_TETHER), "--grace", "0", "--"]
        with container.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - the command is ours
                [*tether, *self._jobs.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=_SOURCES,
                start_new_session=True,
            )
        assert process.stdin
        limit = self._request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86_400)
        started = synced = time.monotonic()
        kill_at: float | None = None
        is_taken_away = False
        while True:
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(_POLL_SECONDS)
                process.stdin.close()
                if is_taken_away and not self._stops_as:
                    return None
                return status if status >= 0 else 128 - status
            now = time.monotonic()
            if now - started > limit:
                self.stop("MaxRuntimeExceeded")
            if kill_at is None:
                if self._fault == "interruption" and container.checkpoints and container.checkpoints.sync():
                    self._fault, is_taken_away = None, True
                if self._stops_as or self.close_at or is_taken_away:
                    process.terminate()
                    kill_at = now + self._jobs.stop_seconds
            elif now > min(kill_at, self.close_at or kill_at) and not process.stdin.closed:
                process.stdin.close()  # the tether kills the container and all it started
            if container.checkpoints and now - synced > self._jobs.sync_seconds:
                try:
                    container.checkpoints.sync()
                except (OSError, BotoCoreError, ClientError) as error:
                    logger.warning("checkpoints not synced: %s", error, extra={"training_job": self.name})
                synced = time.monotonic()

    def _enter(self, secondary: str) -> None:
        with self._lock:
            now = datetime.now(UTC)
            if secondary == "Training" and self._began is None:
                self._began = time.monotonic()
            if self._transitions:
                self._transitions[-1]["EndTime"] = now
            self._transitions.append({"Status": secondary, "StartTime": now})

    def _end(self, status: str, reason: str | None = None) -> None:
        """A job that was stopped is Stopped, whatever its container made of it."""
        with self._lock:
            self._enter(self._stops_as or status)
            self._status = "Stopped" if self._stops_as else status
            self._seconds = 0 if self._began is None else int(time.monotonic() - self._began)
            self._failure_reason = None if self._stops_as else reason
