"""FILES AND FOLDERS -> JOBS -> STEMS: songs of a batch and their output paths; a song that fails stops no other."""
