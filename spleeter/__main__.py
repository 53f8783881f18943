"""The command's entry point: `spleeter`, or `python -m spleeter`."""

from spleeter.cli.main import app as spleeter
from spleeter.cli.main import entrypoint
from spleeter.cli.separate import separate

__all__ = ["entrypoint", "separate", "spleeter"]

if __name__ == "__main__":
    entrypoint()
