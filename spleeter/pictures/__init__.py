"""STREAM OF STEMS -> PICTURE: spectrograms gathered while a song passes by, drawn when it is over."""
