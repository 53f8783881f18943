"""The cache of excerpts: it holds the samples of the files; excerpts are cut once, and again if something changes."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from spleeter.audio.adapter import AudioReader
from spleeter.audio.pyav import PyAVAudioAdapter
from spleeter.data import excerpts
from spleeter.data.excerpts import Cut, ExcerptCache, SongExcerpts
from spleeter.data.song_list import ListedSong, read_song_list
from spleeter.errors import DatasetError
from spleeter.types import Waveform
from tests.data.songs import configuration, write_songs
from tests.utils.leftovers import leave_hidden_folder

SETTINGS = configuration()
CUT = Cut(2, 1.0)


@pytest.fixture
def songs(tmp_path: Path) -> list[ListedSong]:
    listed, problems = read_song_list(write_songs(tmp_path / "songs"), SETTINGS)
    assert not problems
    return listed


def build(tmp_path: Path, songs: list[ListedSong], cut: Cut = CUT) -> list[SongExcerpts]:
    with ExcerptCache(tmp_path / "cache", cut, SETTINGS).build(songs) as (made, problems):
        assert not problems
        return made


def files(tmp_path: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("[!.]*")}


@pytest.mark.parametrize(
    ("n", "duration", "starts"),
    [
        (1, 100.0, [40.0]),
        (1, 10.0, [0.0]),
        (2, 100.0, [0.5, 79.5]),
        (3, 100.0, [0.5, 40.0, 79.5]),
        (2, 15.0, [0.0, 0.0]),
        (3, 20.4, [0.2, 0.2, 0.2]),
    ],
)
def test_excerpts_start_where_the_originals_do(n: int, duration: float, starts: list[float]) -> None:
    """max(k (duration - chunk - 2 margin) / (n - 1) + margin, 0), of chunks of 20 s and margins of half a second."""
    assert Cut(n, 20.0).starts(duration) == pytest.approx(starts)


def test_16_bit_samples_are_kept_exactly(tmp_path: Path, songs: list[ListedSong]) -> None:
    (made, *_) = build(tmp_path, songs)
    assert made.shape == (2, 2, 2, 8000)
    assert isinstance(made.open(), np.memmap)
    for stem, name in enumerate(SETTINGS.instrument_list):
        whole, _ = soundfile.read(made.song.sources[name][0].path, dtype="int16")
        for excerpt, start in enumerate(CUT.starts(4.0)):
            first = round(start * 8000)
            np.testing.assert_array_equal(made.open()[excerpt, stem].T, whole[first : first + 8000])
            assert made.scales[excerpt, stem] == 2.0**-15


def test_samples_beyond_full_scale_are_not_clipped(tmp_path: Path, songs: list[ListedSong]) -> None:
    loud = np.linspace(-3, 3, 64000).reshape(32000, 2)
    soundfile.write(songs[0].sources["vocals"][0].path, loud, 8000, subtype="FLOAT")
    (made, *_) = build(tmp_path, songs)
    kept = made.open()[1, 0].T * made.scales[1, 0]
    np.testing.assert_allclose(kept, loud[20000:28000], atol=3 / 2**15)


def test_several_files_are_summed(tmp_path: Path) -> None:
    folder = tmp_path / "songs"
    write_songs(folder, 1)
    write_songs(folder / "other", 1, first_seed=7)
    stem = folder / "other" / "song0" / "vocals.wav"
    (folder / "songs.csv").write_text(
        f"vocals_path,accompaniment_path\nsong0/vocals.wav,song0/accompaniment.wav|{stem}\n"
    )
    songs, _ = read_song_list(folder / "songs.csv", SETTINGS)
    (made,) = build(tmp_path, songs)
    waveforms = [soundfile.read(path)[0] for path in (folder / "song0" / "accompaniment.wav", stem)]
    kept = made.open()[0, 1].T * made.scales[0, 1]
    np.testing.assert_allclose(kept, sum(waveforms)[4000:12000], atol=1e-4)


def test_cached_excerpts_are_not_cut_again(
    tmp_path: Path, songs: list[ListedSong], monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, songs)
    before = files(tmp_path)
    monkeypatch.setattr(excerpts, "inspect_song", None)  # cannot be called
    assert [made.song for made in build(tmp_path, songs)] == songs
    assert files(tmp_path) == before


def test_an_interrupted_build_is_resumed(tmp_path: Path, songs: list[ListedSong]) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    cache = ExcerptCache(tmp_path / "cache", CUT, SETTINGS)
    with pytest.raises(KeyboardInterrupt), cache.build(songs, stop):
        pass
    before = files(tmp_path)
    assert before
    build(tmp_path, songs)
    after = files(tmp_path)
    assert len(after) == 6
    assert before.items() <= after.items()


@pytest.mark.parametrize("ending", [".npy", ".json"])
@pytest.mark.parametrize("n_bytes", [0, 7, 100, -1])
def test_files_that_a_power_loss_left_short_are_cut_again(
    tmp_path: Path, songs: list[ListedSong], ending: str, n_bytes: int
) -> None:
    whole = [made.open().copy() for made in build(tmp_path, songs)]
    for path in (tmp_path / "cache").glob(f"*{ending}"):
        path.write_bytes(path.read_bytes()[:n_bytes])
    for expected, made in zip(whole, build(tmp_path, songs), strict=True):
        np.testing.assert_array_equal(made.open(), expected)


def test_excerpts_that_are_gone_are_an_error_of_one_line(tmp_path: Path, songs: list[ListedSong]) -> None:
    (made, *_) = build(tmp_path, songs)
    for path in (tmp_path / "cache").glob("*.npy"):
        path.unlink()
    with pytest.raises(DatasetError, match=r"cache are gone or damaged \(No such file or directory\): start again"):
        made.open()


def test_incomplete_files_are_cut_again(tmp_path: Path, songs: list[ListedSong]) -> None:
    whole = [made.open().copy() for made in build(tmp_path, songs)]
    arrays = sorted((tmp_path / "cache").glob("*.npy"))
    arrays[0].write_bytes(arrays[0].read_bytes()[:-1000])
    arrays[1].unlink()
    leave_hidden_folder(tmp_path / "cache")
    for expected, made in zip(whole, build(tmp_path, songs), strict=True):
        np.testing.assert_array_equal(made.open(), expected)
    assert not list((tmp_path / "cache").glob("*.part"))


def test_excerpts_of_a_changed_file_are_cut_again(tmp_path: Path, songs: list[ListedSong]) -> None:
    build(tmp_path, songs)
    before = files(tmp_path)
    path = songs[0].sources["vocals"][0].path
    samples, _ = soundfile.read(path)
    soundfile.write(path, -samples, 8000, subtype="PCM_16")
    (made, *_) = build(tmp_path, songs)
    np.testing.assert_allclose(made.open()[0, 0].T, -samples[4000:12000] * 2**15, atol=1)
    kept = before.items() & files(tmp_path).items()
    assert len(kept) == 4, "the other two songs' files"


@pytest.mark.parametrize("change", ["cut", "version", "sample_rate"])
def test_excerpts_of_other_settings_and_versions_are_replaced(
    change: str, tmp_path: Path, songs: list[ListedSong], monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, songs)
    (tmp_path / "cache" / "notes.txt").write_text("not ours")
    before = files(tmp_path)
    cut, settings = CUT, SETTINGS
    if change == "cut":
        cut = Cut(3, 1.0)
    elif change == "version":
        monkeypatch.setattr(excerpts, "CACHE_VERSION", 1000)
    else:
        settings = configuration(sample_rate=16000)
    with ExcerptCache(tmp_path / "cache", cut, settings).build(songs):
        pass
    assert before.keys() & files(tmp_path).keys() == {"notes.txt"}
    assert len(files(tmp_path)) == 7


_USE = """
import sys
from pathlib import Path
from tests.data.test_excerpts import CUT, SETTINGS, ExcerptCache, read_song_list

songs, _ = read_song_list(Path(sys.argv[1]), SETTINGS)
with ExcerptCache(Path(sys.argv[2]), CUT, SETTINGS).build(songs) as (made, _):
    print("in use", flush=True)
    sys.stdin.readline()
    print(sum(int(song.open().any()) for song in made), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def user(tmp_path: Path, songs: list[ListedSong]) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that has excerpts in use, and reads them when it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", _USE, str(tmp_path / "songs" / "songs.csv"), str(tmp_path / "cache")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in use\n"
    yield process
    process.kill()
    process.communicate()


def test_excerpts_in_use_by_another_process_stay_beside_those_of_other_settings(
    tmp_path: Path, songs: list[ListedSong], user: subprocess.Popen[str]
) -> None:
    build(tmp_path, songs, Cut(3, 1.0))
    assert len(files(tmp_path)) == 12
    assert user.stdin is not None
    assert user.stdout is not None
    user.stdin.write("\n")
    user.stdin.flush()
    assert user.stdout.readline() == "3\n", "it reads all its songs"


def test_what_a_killed_process_used_is_removed(
    tmp_path: Path, songs: list[ListedSong], user: subprocess.Popen[str]
) -> None:
    user.kill()
    user.wait()
    build(tmp_path, songs, Cut(3, 1.0))
    assert len(files(tmp_path)) == 6
    assert {path.name for path in (tmp_path / "cache").glob(".*")} <= {".lock"}


class _SlowAdapter(PyAVAudioAdapter):
    """Takes ten seconds for a file."""

    def open(self, *arguments: Any, **options: Any) -> AudioReader:
        reader = super().open(*arguments, **options)
        block = next(reader.blocks())

        def blocks() -> Iterator[Waveform]:
            for _ in range(200):
                time.sleep(0.05)
                yield block

        reader.blocks = blocks  # type: ignore[method-assign]
        return reader


def test_an_interruption_is_heard_in_the_middle_of_a_file(tmp_path: Path, songs: list[ListedSong]) -> None:
    begin = time.monotonic()

    def stop(done: int, total: int) -> None:
        if time.monotonic() - begin > 0.5:
            raise KeyboardInterrupt

    cache = ExcerptCache(tmp_path / "cache", CUT, SETTINGS, _SlowAdapter())
    with pytest.raises(KeyboardInterrupt), cache.build(songs, stop):
        pass
    assert time.monotonic() - begin < 3
    assert {path.name for path in (tmp_path / "cache").iterdir()} <= {".lock"}


def test_an_excerpt_must_be_as_long_as_a_segment() -> None:
    with pytest.raises(DatasetError, match=r"chunk_duration = 0\.5 is too short for a segment of T = 64 frames"):
        Cut.for_training(configuration(chunk_duration=0.5))


def test_a_cache_that_cannot_be_written_is_reported(tmp_path: Path, songs: list[ListedSong]) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DatasetError, match=r"cannot keep excerpts in .*cache"):
        build(tmp_path, songs)
