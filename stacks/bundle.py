"""What functions are made of: the source, one asset for all, and the packages they import, one layer."""

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from outcrop import reward_templates
from stacks.uv import ROOT, run_uv

_SOURCE = ("outcrop", "lambdas")
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
_NOT_OURS_TO_RUN = shutil.ignore_patterns(
    "__pycache__", "*.pyc", ".*", "cli", "reward_templates", "Dockerfile"
)
_RUNTIME = lambda_.Runtime.PYTHON_3_13
_WHEELS = ("--only-binary", ":all:", "--no-binary", "rouge-score")  # which is pure Python without a wheel
_PIP_PLATFORM = ("--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.13")

# Kept until the interpreter exits: the CDK copies an asset after the function that made it has returned.
_folders: list[TemporaryDirectory[str]] = []


Group = Literal["functions", "sandbox"]


@cache
def source_bundle() -> str:
    """A folder with a copy of `outcrop`, less the command, and `lambdas`, made once per synth."""
    folder = new_folder()
    for package in _SOURCE:
        shutil.copytree(ROOT / package, folder / package, ignore=_NOT_OURS_TO_RUN)
    return str(folder)


@cache
def sandbox_bundle() -> str:
    """A folder with a copy of `lambdas/sandbox` and nothing else: what a grader could read of it is this."""
    folder = new_folder()
    shutil.copytree(ROOT / "lambdas" / "sandbox", folder / "lambdas" / "sandbox", ignore=_IGNORED)
    return str(folder)


def dependency_layer(scope: Construct, group: Group = "functions") -> lambda_.LayerVersion:
    """The packages of the lock's `group`, as wheels for arm64, without their own tests.

    Each stack has a layer version of its own, of one and the same asset: exported from one stack to the
    others, it could not be replaced while they import it.
    """
    return lambda_.LayerVersion(
        scope,
        "Dependencies",
        description=f"Python packages of the group {group}, from uv.lock",
        code=lambda_.Code.from_asset(
            _lock_folder(group),
            bundling=cdk.BundlingOptions(
                image=cdk.DockerImage.from_registry("unused: uv bundles"), local=_UvLayer(group)
            ),
        ),
        compatible_runtimes=[_RUNTIME],
        compatible_architectures=[lambda_.Architecture.ARM_64],
    )


def grader_code(folder: Path) -> lambda_.Code:
    """A grader's folder, and beside its files the packages of its requirements.txt, as wheels for arm64."""
    copied = new_folder()
    if folder.resolve().parent == reward_templates.FOLDER.resolve():
        reward_templates.copy(folder.resolve().name, copied)
    else:
        shutil.copytree(folder, copied, ignore=_IGNORED, dirs_exist_ok=True)
    if not (copied / "requirements.txt").exists():
        return lambda_.Code.from_asset(str(copied))
    return lambda_.Code.from_asset(
        str(copied),
        bundling=cdk.BundlingOptions(
            image=cdk.DockerImage.from_registry("unused: uv bundles"), local=_UvFolder(copied)
        ),
    )


@jsii.implements(cdk.ILocalBundling)
class _UvFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def try_bundle(self, output_dir: str, options: Any = None, **_: Any) -> bool:
        """As `_UvLayer`, but for versions that the folder's own requirements.txt chooses."""
        requirements = str(self._folder / "requirements.txt")
        install = ["pip", "install", "--quiet", "--only-binary", ":all:", "--no-compile"]
        run_uv(*install, *_PIP_PLATFORM, "--target", output_dir, "--requirements", requirements)
        shutil.copytree(self._folder, output_dir, dirs_exist_ok=True)
        return True


@jsii.implements(cdk.ILocalBundling)
class _UvLayer:
    def __init__(self, group: Group) -> None:
        self._group = group

    def try_bundle(self, output_dir: str, options: Any = None, **_: Any) -> bool:
        """Install the locked wheels; a failure ends the synth in uv's own words; Docker is never tried."""
        requirements = new_folder() / "requirements.txt"
        export = ["export", "--frozen", "--quiet", "--no-header", "--only-group", self._group]
        run_uv(*export, "--output-file", str(requirements))
        target = Path(output_dir) / "python"
        install = ["pip", "install", "--quiet", "--require-hashes", "--no-compile", *_WHEELS]
        run_uv(*install, *_PIP_PLATFORM, "--target", str(target), "--requirements", str(requirements))
        for tests in [*target.rglob("tests")]:
            shutil.rmtree(tests, ignore_errors=True)
        return True


@cache
def _lock_folder(group: Group) -> str:
    """What decides what is in the layer, the two files and the group: all its asset is made from."""
    folder = new_folder()
    (folder / "group").write_text(group)
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, folder)
    return str(folder)


def new_folder() -> Path:
    """One that stays until the interpreter exits."""
    _folders.append(TemporaryDirectory(prefix="outcrop-bundle-"))
    return Path(_folders[-1].name)
