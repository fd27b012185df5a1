"""What SageMaker puts into a training container and takes out of it: `/opt/ml`, below a folder of the job.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
"""

import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REASON_LENGTH = 1024


class InputError(Exception):
    """The container's inputs cannot be brought to it; the message is the job's FailureReason."""


class Container:
    """One job's `/opt/ml`. `linked` maps S3 key prefixes to folders that are linked instead of copied."""

    def __init__(
        self, root: Path, request: Mapping[str, Any], s3: "S3Client", linked: Mapping[str, Path]
    ) -> None:
        self.root = root
        self.log = root / "log.txt"
        self._request = request
        self._s3 = s3
        self._linked = linked
        checkpoints = request.get("CheckpointConfig")
        self.checkpoints = Checkpoints(s3, root, checkpoints) if checkpoints else None

    def prepare(self) -> None:
        """Raises: InputError."""
        shutil.rmtree(self.root, ignore_errors=True)
        for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (self.root / folder).mkdir(parents=True)
        channels = self._request.get("InputDataConfig", [])
        resources = self._request["ResourceConfig"]
        self._write_config("hyperparameters", self._request.get("HyperParameters", {}))
        self._write_config("inputdataconfig", {one["ChannelName"]: _channel_config(one) for one in channels})
        self._write_config(
            "resourceconfig",
            {
                "current_host": "algo-1",
                "current_instance_type": resources.get("InstanceType"),
                "hosts": ["algo-1"],
                "network_interface_name": "lo",
            },
        )
        try:
            for channel in channels:
                self._bring(
                    channel["DataSource"]["S3DataSource"], self.root / "input/data" / channel["ChannelName"]
                )
            if self.checkpoints:
                self.checkpoints.restore()
        except (OSError, BotoCoreError, ClientError) as error:
            raise InputError(f"ClientError: Data download failed: {error}") from error

    def collect(self) -> None:
        """Upload `/opt/ml/model` and `/opt/ml/output/data`, each unless empty."""
        config = self._request["OutputDataConfig"]
        bucket, prefix = split_uri(config["S3OutputPath"])
        target = f"{prefix.rstrip('/')}/{self._request['TrainingJobName']}/output".lstrip("/")
        for folder, name in ((self.root / "model", "model"), (self.root / "output/data", "output")):
            if not any(folder.iterdir()):
                continue
            if config.get("CompressionType") == "NONE":
                for file in _files(folder):
                    self._s3.upload_file(
                        str(file), bucket, f"{target}/{name}/{file.relative_to(folder).as_posix()}"
                    )
            else:
                archive = self.root / f"{name}.tar.gz"
                with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
                    for entry in sorted(folder.iterdir()):
                        tar.add(entry, arcname=entry.name)
                self._s3.upload_file(str(archive), bucket, f"{target}/{archive.name}")
                archive.unlink()

    def failure_reason(self, exit_code: int) -> str:
        """What the container wrote to `/opt/ml/output/failure`, as SageMaker words it."""
        failure = self.root / "output/failure"
        text = failure.read_text(errors="replace").strip() if failure.is_file() else ""
        if not text and exit_code > 128:
            text = f"killed by signal {exit_code - 128}" + (" (out of memory?)" if exit_code == 137 else "")
        if not text:
            text = f"no reason given in /opt/ml/output/failure; its log is {self.log}"
        suffix = f", exit code: {exit_code}"
        return f"AlgorithmError: {text}"[: REASON_LENGTH - len(suffix)] + suffix

    def _write_config(self, name: str, value: Mapping[str, Any]) -> None:
        (self.root / f"input/config/{name}.json").write_text(json.dumps(value))

    def _bring(self, source: Mapping[str, str], target: Path) -> None:
        bucket, prefix = split_uri(source["S3Uri"])
        for linked, folder in self._linked.items():
            if f"{prefix.rstrip('/')}/".startswith(f"{linked.rstrip('/')}/"):
                origin = folder / prefix[len(linked) :].strip("/")
                if not origin.is_dir():
                    raise InputError(f"ClientError: Data download failed: {origin} is not there.")
                target.symlink_to(origin.absolute(), target_is_directory=True)
                return
        target.mkdir()
        if not download(self._s3, bucket, prefix, target):
            raise InputError(
                "ClientError: Data download failed: No S3 objects found under S3 URL "
                f'"{source["S3Uri"]}" given in input data source.'
            )


class Checkpoints:
    """The folder of CheckpointConfig and its S3 prefix, kept in step in the direction container to S3.

    A step's folder is written under a name that starts with `.` or `tmp` and renamed when it is complete, so
    names like these are left out: what is in S3 was complete on disk.
    """

    def __init__(self, s3: "S3Client", root: Path, config: Mapping[str, str]) -> None:
        local = PurePosixPath(config.get("LocalPath", "/opt/ml/checkpoints"))
        self.folder = root / local.relative_to("/opt/ml")
        self._s3 = s3
        self._bucket, prefix = split_uri(config["S3Uri"])
        self._prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        self._synced: dict[str, tuple[int, int]] = {}

    def restore(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        download(self._s3, self._bucket, self._prefix, self.folder)
        self._synced = self._present()

    def sync(self) -> bool:
        """New files first, removals last: once S3 holds a complete checkpoint, it always holds one. Whether
        S3 holds any file now."""
        present = self._present()
        for name in sorted(present):
            if present[name] != self._synced.get(name):
                try:
                    self._s3.upload_file(str(self.folder / name), self._bucket, self._prefix + name)
                except FileNotFoundError:
                    continue  # removed meanwhile; it is not in the next listing
                self._synced[name] = present[name]
        for name in sorted(self._synced.keys() - present.keys()):
            self._s3.delete_object(Bucket=self._bucket, Key=self._prefix + name)
            del self._synced[name]
        return bool(self._synced)

    def _present(self) -> dict[str, tuple[int, int]]:
        """Size and modification time of each file, by its path below the folder."""
        found: dict[str, tuple[int, int]] = {}
        for file in _files(self.folder):
            name = file.relative_to(self.folder)
            if any(part.startswith((".", "tmp")) for part in name.parts):
                continue
            try:
                stat = file.stat()
            except FileNotFoundError:
                continue  # removed while it was listed
            found[name.as_posix()] = (stat.st_size, stat.st_mtime_ns)
        return found


def download(s3: "S3Client", bucket: str, prefix: str, target: Path) -> int:
    """Copy the objects below a prefix to a folder, by their keys relative to it; how many there were.

    A prefix that is one object's key becomes one file with the last part of its name.
    """
    count = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            key = entry.get("Key", "")
            if key.endswith("/"):
                continue  # a console's folder marker
            within = prefix if key.startswith(f"{prefix.rstrip('/')}/") else prefix[: prefix.rfind("/") + 1]
            path = target / key[len(within) :].lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, key, str(path))
            count += 1
    return count


def split_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/some/key` as bucket and key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _channel_config(channel: Mapping[str, Any]) -> dict[str, str]:
    return {
        "TrainingInputMode": channel.get("InputMode", "File"),
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
