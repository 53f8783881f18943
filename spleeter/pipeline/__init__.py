"""BLOCKS OF A MIXTURE -> BLOCKS OF STEMS: chunks of segments, threads, and the files of a song."""
