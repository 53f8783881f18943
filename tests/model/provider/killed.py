"""Get a model in child processes, each killed one call into the file system later than the one before.

Arguments: URL of the host, sha256 of the archive, folder to work in. What the original left when it was interrupted
lies there before. After each kill there must be no model or the right one, and the next attempt must bring that.
Prints the number of kills after which there was none, and of those after which there was the right one.
"""

import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

import filelock  # noqa: F401 - what children import need not be counted
import httpx2  # noqa: F401

from spleeter.model.provider import released
from spleeter.model.provider.download import RetryPolicy
from spleeter.model.provider.folder import flaw
from spleeter.model.provider.github import GithubModelProvider
from spleeter.model.provider.manifest import Verification, verify

URL, SHA256, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])
MODEL = FOLDER / "2stems"
CALLS = {"open", "write", "writelines", "close", "mkdir", "rename", "replace", "unlink", "rmdir", "flock", "flush"}


def get() -> None:
    provider = GithubModelProvider(URL, "deezer/spleeter", "v1.4.0")
    provider.retry_policy = RetryPolicy(read_timeout=5.0)
    provider.get(str(MODEL))


def kill_before_call(number: int) -> None:
    """Let this process die before its call `number` into the file system."""
    n_calls = 0

    def count(frame: FrameType, event: str, call: object) -> None:
        nonlocal n_calls
        if event == "c_call" and getattr(call, "__name__", "") in CALLS:
            n_calls += 1
            if n_calls == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def is_killed(number: int) -> bool:
    """Whether a child that gets the model makes that many calls, and was killed before the last."""
    child = os.fork()
    if child == 0:
        try:
            kill_before_call(number)
            get()
        except BaseException:
            sys.setprofile(None)
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def leave_torn() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    MODEL.mkdir(parents=True)
    (MODEL / "checkpoint").write_text('model_checkpoint_path: "model"\n')


def main() -> None:
    released.ARCHIVE_SHA256, released.FILE_SHA256 = {"2stems": SHA256}, {}
    n_absent = n_whole = 0
    leave_torn()
    while is_killed(1 + n_absent + n_whole):
        if flaw(MODEL) is None:
            n_whole += 1
        else:
            n_absent += 1
            get()
            left = {file.name for file in FOLDER.iterdir()}
            assert left == {"2stems", ".2stems.lock"}, left
        assert verify(MODEL, {}) == Verification(), f"call {n_absent + n_whole}"
        leave_torn()
    print(n_absent, n_whole)


main()
