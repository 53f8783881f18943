"""The sha256 sums of Deezer's release v1.4.0: of its archives, and of their files where they are known."""

from collections.abc import Mapping

__all__ = ["ARCHIVE_SHA256", "FILE_SHA256", "RELEASE", "REPOSITORY"]

REPOSITORY = "deezer/spleeter"
RELEASE = "v1.4.0"

# From the release's own checksum.json.
ARCHIVE_SHA256: Mapping[str, str] = {
    "2stems": "f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692",
    "4stems": "3adb4a50ad4eb18c7c4d65fcf4cf2367a07d48408a5eb7d03cd20067429dfaa8",
    "5stems": "25a1e87eb5f75cc72a4d2d5467a0a50ac75f05611f877c278793742513cc7218",
}

FILE_SHA256: Mapping[str, Mapping[str, str]] = {
    "2stems": {
        "model.data-00000-of-00001": "7747f9fd2c782306dbec1504360fbb645a097a48446f23486c3ff9c89bc11788",
        "model.index": "55661a09f79c86071fc7077b44b4cf1f01b6d82bbbb83ed94cb68a2f9944e378",
    },
}
