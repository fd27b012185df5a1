"""`LocalStack`: the whole loop on loopback, in one process tree.

The synthesized stacks on the emulated AWS, the real handlers, training jobs, the inference server, and the
front. What runs where is in docs/architecture.md, what is kept in the state folder in docs/local.md.
"""

import fcntl
import json
import logging
import socket
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from local import assembly, judges, linked_weights
from local.cache import cache_folder, weights
from local.emulated_account import environment
from local.errors import LocalError
from local.functions import Functions
from local.gateway import Gateway
from local.judges import JudgeKeys, Judges
from local.processes import ServerThread, TetheredProcess, listen, url
from outcrop import base_models
from outcrop.types.api_key import ADMIN_PROJECT

if TYPE_CHECKING:
    from local.emulator import Deployed, Emulator
    from local.state import State

Graders = Mapping[str, tuple[Path, str | None]]
"""Function name to its file, and the function in it."""

PROJECT = "default"
_API_HANDLER = "lambdas.api.handler.handler"
_READY_SECONDS = 60


class LocalStack:
    def __init__(
        self,
        state: Path,
        port: int,
        graders: Graders,
        models: Sequence[str],
        judges: Judges = Judges(),  # noqa: B008 - frozen
    ) -> None:
        self._folder = state.expanduser().resolve()
        self._port = port
        self._graders = graders
        self._models = models
        self._judges = judges
        self._logs = self._folder / "logs"
        self._ends = ExitStack()
        self.base_url = ""
        self.api_key = ""
        self.admin_key = ""
        self.endpoint_url = ""
        """Of the emulated AWS."""

    def start(self) -> None:
        """Returns when the API answers. Raises: LocalError, with what is wrong in one line; nothing runs
        then.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process, in the reverse order of their start, and save the state. Functions end before
        training jobs do, so no workflow takes the end of the emulator for the end of a job: a job goes on at
        the next start.
        """
        self._ends.close()

    def _start(self) -> None:
        """What is cheap to refuse comes first; what takes seconds goes on side by side."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self._lock_folder()
        listener = self._ends.enter_context(listen(self._port))
        self.base_url = f"{url(listener)}/v1"
        self._log_to_file()
        threads = self._ends.enter_context(ThreadPoolExecutor())
        of_emulator, of_inference = (self._ends.enter_context(listen(0)) for _ in range(2))
        self.endpoint_url = url(of_emulator)
        serving_url = f"{url(of_inference)}/v1"
        functions = Functions(self.endpoint_url, self._logs, serving_url)
        self._ends.callback(functions.stop)
        for name, (path, function) in self._graders.items():
            functions.register_grader(name, path, function)
        self._judges.check(self._models)
        self._check_weights()

        synthesis = threads.submit(assembly.synthesize, self._models)
        emulator, state = self._start_emulator(of_emulator, functions)
        deployed = emulator.deploy(synthesis.result())
        state.restore()
        state.start()
        for name in self._graders:
            emulator.add_function(name)
        keys = JudgeKeys(emulator.client("secretsmanager"), self._judges.api_key)
        of_this_loop = {
            "OUTCROP_SERVING_URL": serving_url,
            "OUTCROP_JUDGES": judges.setting(
                self._judges, self._models, keys, serving_url=serving_url, base_url=self.base_url
            ),
        }
        for function in deployed.functions:
            variables = {name: of_this_loop.get(name, value) for name, value in function.environment.items()}
            functions.register(function.name, function.handler, variables, function.timeout_seconds)
        warming = [threads.submit(functions.warm, name) for name in deployed.api.functions()]
        streams = self._serve_streams(deployed, of_inference, serving_url)
        self._start_up(functions, deployed, keys, emulator.client("s3"))
        gateway = ServerThread(Gateway(deployed.api, functions.invoke, streams), listener)
        self._ends.callback(gateway.stop)
        for one in warming:
            one.result()
        self._wait_until_ready()

    def _start_emulator(self, listener: socket.socket, functions: Functions) -> "tuple[Emulator, State]":
        # moto takes seconds to import: not before the cheap checks, and while the synthesis runs.
        from local import moto_patches
        from local.emulator import ASSETS_BUCKET, Emulator
        from local.state import State
        from local.training_jobs import TrainingJobs

        state = State(self._folder / "state", exclude=(ASSETS_BUCKET,))
        self._ends.callback(state.stop)
        emulator = Emulator(listener, state.watch)
        self._ends.callback(emulator.stop)
        training_jobs = TrainingJobs(
            self._folder / "training-jobs",
            command=[sys.executable, "-m", "training_image.train"],
            environment=environment(self.endpoint_url),
            linked_channels=linked_weights.channels(self._models),
        )
        self._ends.callback(training_jobs.close)
        self._ends.callback(functions.stop)  # before the training jobs: see `stop`
        moto_patches.install(invoke=functions.invoke, training_jobs=training_jobs)
        emulator.start()
        return emulator, state

    def _serve_streams(
        self, deployed: "Deployed", of_inference: socket.socket, serving_url: str
    ) -> dict[str, str]:
        """Start the inference server, and for each streaming function the server that the Web Adapter would
        start.
        """
        base = environment(self.endpoint_url)
        models = ["--models-dir", str(cache_folder() / "models")]
        self._run("inference-server", ["-m", "local.inference_server", *models], base, of_inference)
        serving = {"OUTCROP_SERVING_URL": serving_url}
        streams: dict[str, str] = {}
        for function in deployed.streaming_functions:
            listener = listen(0)
            streams[function.name] = url(listener)
            asgi = ["-m", "local.web_adapter", "lambdas.inference.app:app"]
            self._run(function.name, asgi, base | function.environment | serving, listener)
        return streams

    def _run(
        self, name: str, arguments: list[str], environment: Mapping[str, str], listener: socket.socket
    ) -> None:
        command = [sys.executable, *arguments]
        process = TetheredProcess(command, environment, self._logs / f"{name}.log", listener)
        self._ends.callback(process.stop)

    def _start_up(
        self, functions: Functions, deployed: "Deployed", judge_keys: JudgeKeys, emulated_s3: Any
    ) -> None:
        """The API keys, which are kept for the next start, and the files and jobs of the last one."""
        (api,) = (one for one in deployed.functions if one.handler == _API_HANDLER)
        for name in ("ensure_key", "resume_files", "resume_jobs"):
            functions.register(name, f"local.start_up.{name}", api.environment, timeout_seconds=120)
        path = self._folder / "local.json"
        last = json.loads(path.read_bytes()) if path.exists() else {}
        self.api_key, self.admin_key = (
            _call(functions, "ensure_key", {"project": project, "key": last.get(name)})
            for project, name in ((PROJECT, "api_key"), (ADMIN_PROJECT, "admin_key"))
        )
        judge_keys.keep(self.api_key)
        linked_weights.announce(emulated_s3, api.environment["OUTCROP_BUCKET"], self._models)
        _call(functions, "resume_files", {})
        _call(functions, "resume_jobs", {})
        urls = {"base_url": self.base_url, "endpoint_url": self.endpoint_url}
        names = {name: api.environment[f"OUTCROP_{name.upper()}"] for name in ("table", "bucket")}
        temporary = path.with_suffix(".tmp")
        temporary.touch(mode=0o600)
        keys = {"api_key": self.api_key, "admin_key": self.admin_key}
        temporary.write_text(json.dumps({**urls, **names, **keys}, indent=2))
        temporary.replace(path)

    def _wait_until_ready(self) -> None:
        key = {"Authorization": f"Bearer {self.api_key}"}
        answer = httpx.get(f"{self.base_url}/models", headers=key, timeout=_READY_SECONDS)
        if answer.status_code != httpx.codes.OK:
            raise LocalError(
                f"The API answers {answer.status_code} to GET /v1/models. Logs are in {self._logs}."
            )

    def _lock_folder(self) -> None:
        lock = self._ends.enter_context((self._folder / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalError(
                f"Another outcrop uses {self._folder}. Stop it, or choose another --state."
            ) from error

    def _check_weights(self) -> None:
        for id in self._models:
            model = base_models.find(id)
            if model is None:
                known = ", ".join(one.id for one in base_models.CATALOGUE)
                raise LocalError(f"The model '{id}' is not one that can be fine-tuned. Known: {known}.")
            if not (weights(id) / "config.json").exists():
                raise LocalError(f"There are no weights of {id} in {weights(id)}. It needs {model.needs()}.")

    def _log_to_file(self) -> None:
        """What this process's own parts say: requests, saves, training jobs."""
        handler = logging.FileHandler(self._logs / "local.log")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        log = logging.getLogger("local")
        log.setLevel(logging.INFO)
        log.addHandler(handler)
        self._ends.callback(handler.close)
        self._ends.callback(log.removeHandler, handler)


def _call(functions: Functions, name: str, event: dict[str, str | None]) -> str:
    answer, is_error = functions.invoke(name, json.dumps(event).encode())
    if is_error:
        raise LocalError(f"{name} failed: {json.loads(answer)['errorMessage']}")
    return json.loads(answer)
