"""Tracks are found in every layout of a data set, and load as with stempeg and soundfile."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spleeter.data.tracks import MIXTURE, Track, find_tracks, load_track
from spleeter.errors import DatasetError, DecodeError
from tests.evaluation.conftest import NAMES, RATE, musdb_file, sixteen_bits, synthetic, write_track

STEMS = sixteen_bits(0.1 * synthetic(4, 3000)[0])


def load(track: Track, *instruments: str) -> np.ndarray:
    return load_track(track, instruments, RATE, 2).references


def test_musdb_streams_load_as_with_stempeg(tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("stempeg needs an ffmpeg")
    import stempeg

    (tmp_path / "test").mkdir()
    shutil.copy(musdb_file(), tmp_path / "test")
    (track,) = find_tracks(tmp_path)
    assert (track.name, track.subset) == ("The Easton Ellises - Falcon 69", "test")
    audio = load_track(track, ["drums", "bass", "other", "vocals", "accompaniment"], RATE, 2)
    expected, rate = stempeg.read_stems(str(musdb_file()))
    assert rate == RATE
    np.testing.assert_allclose(audio.mixture, expected[0], atol=1e-6)
    np.testing.assert_allclose(audio.references[:4], expected[1:], atol=0.5 / 2**15 + 1e-6)
    np.testing.assert_allclose(audio.references[4], expected[1:4].sum(0), atol=0.5 / 2**15 + 1e-6)


def test_musdb_hq_folders_are_tracks(tmp_path: Path) -> None:
    for subset, name in [("test", "B"), ("test", "A"), ("train", "C")]:
        folder = write_track(tmp_path / subset / name, STEMS)
        soundfile.write(folder / "mixture.wav", 0.5 * STEMS.sum(0), RATE, subtype="FLOAT")
    assert [(track.name, track.subset) for track in find_tracks(tmp_path)] == [("A", "test"), ("B", "test")]
    assert [track.name for track in find_tracks(tmp_path, "train")] == ["C"]
    audio = load_track(find_tracks(tmp_path)[0], ["bass", "vocals"], RATE, 2)
    np.testing.assert_allclose(audio.references, STEMS[[2, 0]], atol=1e-6)
    np.testing.assert_allclose(audio.mixture, 0.5 * STEMS.sum(0), atol=1e-6)


def test_a_track_without_a_mixture_file_is_the_sum_of_its_stems(tmp_path: Path) -> None:
    write_track(tmp_path / "Ünï – ко́шка 猫 100%", STEMS, ending="flac")
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").write_text("no track")
    (track,) = find_tracks(tmp_path)
    assert (track.name, track.subset, track.mixture) == ("Ünï – ко́шка 猫 100%", "test", None)
    audio = load_track(track, ["accompaniment"], RATE, 2)
    np.testing.assert_allclose(audio.mixture, STEMS.sum(0), atol=1e-6)
    np.testing.assert_allclose(audio.references[0], STEMS[1:].sum(0), atol=1e-6)


def test_a_track_named_test_is_not_the_subset(tmp_path: Path) -> None:
    write_track(tmp_path / "test", STEMS)
    assert [track.name for track in find_tracks(tmp_path)] == ["test"]


def test_an_accompaniment_file_is_not_added_to_the_stems_it_consists_of(tmp_path: Path) -> None:
    names = (*NAMES, "accompaniment")
    write_track(tmp_path / "song", np.concatenate([STEMS, STEMS[1:].sum(0, keepdims=True)]), names)
    (track,) = find_tracks(tmp_path)
    assert track.components("accompaniment") == ("accompaniment",)
    np.testing.assert_allclose(load_track(track, ["vocals"], RATE, 2).mixture, STEMS.sum(0), atol=1e-4)


def test_vocals_and_accompaniment_alone_make_the_mixture(tmp_path: Path) -> None:
    write_track(tmp_path / "song", STEMS, ("vocals", "accompaniment"))
    (track,) = find_tracks(tmp_path)
    np.testing.assert_allclose(load_track(track, ["vocals"], RATE, 2).mixture, STEMS[:2].sum(0), atol=1e-6)


def test_components_of_an_instrument(tmp_path: Path) -> None:
    write_track(tmp_path / "song", STEMS)
    (track,) = find_tracks(tmp_path)
    assert track.components("piano") == ()
    assert track.components("bass") == ("bass",)
    assert set(track.components("accompaniment")) == {"drums", "bass", "other"}


def test_other_sample_rates_are_resampled_and_mono_is_copied(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_track(tmp_path / "song", STEMS[:1])
    soundfile.write(folder / "drums.wav", STEMS[1, :1500, 0], RATE // 2)
    with caplog.at_level("INFO", "spleeter"):
        references = load(find_tracks(tmp_path)[0], "vocals", "drums")
    assert references.shape == (2, 3000, 2)
    np.testing.assert_array_equal(references[1, :, 0], references[1, :, 1])
    assert "drums.wav: resampled from 22050 to 44100 Hz" in caplog.text


def test_a_stem_that_is_a_few_samples_shorter_is_padded_with_zeros(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_track(tmp_path / "song", STEMS)
    soundfile.write(folder / "bass.wav", STEMS[2, :-5], RATE)
    with caplog.at_level("INFO", "spleeter"):
        audio = load_track(find_tracks(tmp_path)[0], ["vocals", "bass"], RATE, 2)
    expected = STEMS.copy()
    expected[2, -5:] = 0
    np.testing.assert_allclose(audio.references, expected[[0, 2]], atol=1e-6)
    np.testing.assert_allclose(audio.mixture, expected.sum(0), atol=1e-6)
    assert "song: bass has 2995 samples, drums 3000: padded with up to 5 zeros" in caplog.text


def test_stems_that_differ_in_length_are_refused(tmp_path: Path) -> None:
    stems = sixteen_bits(0.1 * synthetic(4, 12000)[0])
    folder = write_track(tmp_path / "song", stems)
    soundfile.write(folder / "bass.wav", stems[2, :7000], RATE)
    with pytest.raises(DatasetError, match=r"song: its files differ in length: bass has 7000 samples, drums 12000"):
        load(find_tracks(tmp_path)[0], "vocals", "bass")


def test_a_file_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    folder = write_track(tmp_path / "song", STEMS)
    (folder / "bass.wav").write_bytes(b"not audio")
    with pytest.raises(DecodeError, match=r"bass\.wav"):
        load(find_tracks(tmp_path)[0], "bass")


def test_two_files_of_one_stem_are_refused(tmp_path: Path) -> None:
    folder = write_track(tmp_path / "song", STEMS)
    soundfile.write(folder / "bass.flac", STEMS[2], RATE)
    with pytest.raises(DatasetError, match=r"holds bass twice, as bass\.flac and bass\.wav"):
        find_tracks(tmp_path)


def test_two_tracks_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "song.stem.mp4").touch()
    write_track(tmp_path / "song", STEMS)
    with pytest.raises(DatasetError, match=r"holds song twice, as song and song\.stem\.mp4"):
        find_tracks(tmp_path)


def test_an_album_of_songs_is_not_a_track(tmp_path: Path) -> None:
    write_track(tmp_path / "album", STEMS, ("01 one", "02 two"))
    write_track(tmp_path / "album" / "extras", STEMS, ("01 one",))
    soundfile.write(tmp_path / "album" / "01 one.flac", STEMS[0], RATE)
    with pytest.raises(DatasetError, match="no tracks"):
        find_tracks(tmp_path)
    write_track(tmp_path / "song", STEMS)
    assert [track.name for track in find_tracks(tmp_path)] == ["song"]


def test_a_folder_with_an_instrument_to_be_evaluated_is_a_track(tmp_path: Path) -> None:
    write_track(tmp_path / "song", STEMS, ("piano", "guitar"))
    with pytest.raises(DatasetError, match="no tracks"):
        find_tracks(tmp_path, instruments=("vocals", "drums"))
    (track,) = find_tracks(tmp_path, instruments=("vocals", "piano"))
    assert set(track.stems) == {"piano", "guitar"}


def test_tracks_of_another_subset_are_named(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.stem.mp4").touch()
    (tmp_path / "train" / "b.stem.mp4").touch()
    for subset in (None, "valid"):
        with pytest.raises(DatasetError, match=r"no tracks .* there are tracks in train: choose --subset train"):
            find_tracks(tmp_path, subset)
    assert [track.name for track in find_tracks(tmp_path, "train")] == ["a", "b"]


def test_without_tracks_the_layouts_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no folder"):
        find_tracks(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"NAME\.stem\.mp4.*NAME/vocals\.wav"):
        find_tracks(tmp_path)
    write_track(tmp_path / "train" / "song", STEMS)
    with pytest.raises(DatasetError, match="name of a folder"):
        find_tracks(tmp_path, "train/../train")
    with pytest.raises(DatasetError, match="no tracks"):
        find_tracks(tmp_path, "valid")
    soundfile.write(write_track(tmp_path / "only", STEMS[:0]) / f"{MIXTURE}.wav", STEMS[0], RATE)
    with pytest.raises(DatasetError, match="no tracks"):
        find_tracks(tmp_path)
