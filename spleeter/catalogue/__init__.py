"""FILES AND FOLDERS -> JOBS -> STEMS: songs of a batch and their output paths; a song that fails stops no other."""

from spleeter.catalogue.jobs import Job, plan_jobs, run_jobs, songs_in_parallel
from spleeter.catalogue.songs import Failure, FoundSongs, Song, check_song, find_songs, holds_audio

__all__ = [
    "Failure",
    "FoundSongs",
    "Job",
    "Song",
    "check_song",
    "find_songs",
    "holds_audio",
    "plan_jobs",
    "run_jobs",
    "songs_in_parallel",
]
