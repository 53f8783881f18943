"""`spleeter.commands` of the original 1.x: the parser of its command line.

`entrypoint` of `commands.separate` and `commands.train` runs what it parsed.
"""

from argparse import ArgumentParser

from spleeter.audio import Codec, STFTBackend
from spleeter.utils.names import FILENAME_FORMAT

__all__ = ["create_argument_parser"]


def create_argument_parser() -> ArgumentParser:
    """The parser of the original 1.5: `separate -i FILES...`, `train` and `evaluate`, with their options."""
    common = ArgumentParser(add_help=False)
    common.add_argument("-a", "--adapter", dest="audio_adapter")
    common.add_argument("-p", "--params_filename", dest="configuration", default="spleeter:2stems")
    common.add_argument("--verbose", action="store_true")
    separating = ArgumentParser(add_help=False, parents=[common])
    separating.add_argument("-o", "--output_path", default="separated_audio")
    separating.add_argument("-m", "--mwf", dest="MWF", action="store_true")
    separating.add_argument("-B", "--stft-backend", choices=list(STFTBackend), default="auto")

    parser = ArgumentParser(prog="spleeter")
    commands = parser.add_subparsers(dest="command", required=True)
    separate = commands.add_parser("separate", parents=[separating])
    separate.add_argument("-i", "--inputs", nargs="+", required=True)
    separate.add_argument("-f", "--filename_format", default=FILENAME_FORMAT)
    separate.add_argument("-d", "--duration", type=float)
    separate.add_argument("-s", "--offset", type=float, default=0.0)
    separate.add_argument("-c", "--codec", choices=list(Codec), default="wav")
    separate.add_argument("-b", "--birate", "--bitrate", dest="bitrate", default="128k")  # "birate" is the original's
    evaluate = commands.add_parser("evaluate", parents=[separating])
    evaluate.add_argument("--mus_dir", required=True)
    train = commands.add_parser("train", parents=[common])
    train.add_argument("-d", "--data", dest="audio_path", required=True)
    return parser
