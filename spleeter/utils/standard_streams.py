"""The descriptors of standard input, output and error, kept from becoming those of other files."""

import os

__all__ = ["reserve_standard_streams"]


def reserve_standard_streams() -> None:
    """Open the null device in place of each standard stream that is closed.

    Else the next file that is opened, such as a stem, gets its descriptor, and libraries print into that file.
    """
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
