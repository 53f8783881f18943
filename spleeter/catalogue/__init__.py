"""FILES AND FOLDERS -> JOBS -> STEMS: songs of a batch and their output paths; a song that fails stops no other."""

from spleeter.catalogue.jobs import Job, plan_jobs, run_jobs, songs_in_parallel, unfinished_jobs
from spleeter.catalogue.songs import Failure, Song, find_songs

__all__ = ["Failure", "Job", "Song", "find_songs", "plan_jobs", "run_jobs", "songs_in_parallel", "unfinished_jobs"]
