"""Which outputs a song has: stems, mixes and the residual."""

import numpy as np
import pytest

from spleeter.errors import OutputError
from spleeter.pipeline.selection import Selection

INSTRUMENTS = ("vocals", "drums", "bass", "other")


def stems() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {name: generator.standard_normal((50, 2)).astype(np.float32) for name in INSTRUMENTS}


def test_every_stem_by_default() -> None:
    assert Selection.choose(INSTRUMENTS).names == INSTRUMENTS


def test_order_of_names_is_that_of_the_request() -> None:
    selection = Selection.choose(INSTRUMENTS, ["bass", "vocals"], {"karaoke": ["drums", "bass"]}, "rest")
    assert selection.names == ("bass", "vocals", "karaoke", "rest")


def test_a_list_of_nothing_but_mixes_writes_nothing_but_these() -> None:
    assert Selection.choose(INSTRUMENTS, ["karaoke"], {"karaoke": ["drums"]}).names == ("karaoke",)


def test_a_mix_is_the_sum_of_its_stems() -> None:
    sources = stems()
    outputs = Selection.choose(INSTRUMENTS, [], {"rhythm": ["drums", "bass"]}).apply(sources["vocals"], sources)
    assert list(outputs) == ["rhythm"]
    np.testing.assert_allclose(outputs["rhythm"], sources["drums"] + sources["bass"])


@pytest.mark.parametrize(
    ("chosen", "mixes", "residual", "expected"),
    [
        (None, {}, None, True),
        (["vocals"], {}, None, False),
        (["vocals"], {}, "rest", True),
        (["vocals"], {"karaoke": ["drums", "bass", "other"]}, None, True),
        (["vocals", "drums"], {"karaoke": ["drums", "bass", "other"]}, None, False),
        (["vocals", "drums"], {"rhythm": ["drums", "bass"]}, "rest", False),
    ],
)
def test_whether_the_outputs_sum_to_the_mixture(
    chosen: list[str] | None, mixes: dict[str, list[str]], residual: str | None, expected: bool
) -> None:
    selection = Selection.choose(INSTRUMENTS, chosen, mixes, residual)
    assert selection.sums_to_mixture(INSTRUMENTS) is expected
    sources = stems()
    mixture = np.asarray(sum(sources.values()))
    total = np.asarray(sum(selection.apply(mixture, sources).values()))
    assert np.allclose(total, mixture, atol=1e-6) is expected


@pytest.mark.parametrize(
    ("chosen", "mixes"),
    [
        (["vocals"], {}),
        (None, {}),
        (["vocals", "drums"], {"rhythm": ["drums", "bass"]}),
        (["r"], {"r": ["drums"]}),
    ],
)
def test_the_residual_completes_the_mixture(chosen: list[str] | None, mixes: dict[str, list[str]]) -> None:
    sources, mixture = stems(), np.ones((50, 2), np.float32)
    selection = Selection.choose(INSTRUMENTS, chosen, mixes, "rest")
    contained = {*selection.stems, *(part for parts in mixes.values() for part in parts)}
    total = selection.apply(mixture, sources)["rest"] + sum(sources[name] for name in contained)
    np.testing.assert_allclose(total, mixture, atol=1e-5)


def test_the_stems_are_not_changed() -> None:
    sources = stems()
    before = {name: stem.copy() for name, stem in sources.items()}
    Selection.choose(INSTRUMENTS, None, {"all": INSTRUMENTS}, "rest").apply(sources["vocals"], sources)
    for name, stem in sources.items():
        np.testing.assert_array_equal(stem, before[name])


@pytest.mark.parametrize(
    ("chosen", "mixes", "residual", "message"),
    [
        (["vocal"], {}, None, "did you mean 'vocals'"),
        (["piano"], {}, None, "this model gives vocals, drums, bass, other"),
        (["vocals", "vocals"], {}, None, "twice"),
        ([], {}, None, "no stems chosen"),
        (None, {"karaoke": ["drum"]}, None, "mix 'karaoke' names 'drum'.*'drums'"),
        (None, {"karaoke": []}, None, "at least one stem"),
        (None, {"karaoke": ["drums", "drums"]}, None, "each once"),
        (None, {"vocals": ["drums"]}, None, "name of a stem or of another output"),
        (None, {"a/b": ["drums"]}, None, "file name"),
        (None, {"": ["drums"]}, None, "file name"),
        (None, {}, "drums", "name of a stem or of another output"),
        (None, {"rest": ["drums"]}, "rest", "name of a stem or of another output"),
        (None, {}, "..", "file name"),
    ],
)
def test_a_bad_choice_is_named(
    chosen: list[str] | None, mixes: dict[str, list[str]], residual: str | None, message: str
) -> None:
    with pytest.raises(OutputError, match=message):
        Selection.choose(INSTRUMENTS, chosen, mixes, residual)


@pytest.mark.parametrize("name", ["karaoke", "instrumental"])
def test_the_song_without_its_vocals_has_names_that_everyone_knows(name: str) -> None:
    sources = stems()
    selection = Selection.choose(INSTRUMENTS, [name, "vocals"])
    outputs = selection.apply(sources["vocals"], sources)
    np.testing.assert_allclose(outputs[name], sources["drums"] + sources["bass"] + sources["other"], rtol=1e-6)
    assert selection.sums_to_mixture(INSTRUMENTS)
    assert Selection.choose(["vocals", name], [name]).stems == (name,), "an instrument of this name goes first"
    assert Selection.choose(INSTRUMENTS, [name], {name: ["drums"]}).mixes == {name: {"drums": 1.0}}
    with pytest.raises(OutputError, match=f"no stem '{name}', but this model gives drums, bass"):
        Selection.choose(["drums", "bass"], [name])


def test_a_mix_may_have_gains() -> None:
    sources = stems()
    selection = Selection.choose(INSTRUMENTS, None, {"quiet": {"vocals": 0.5, "drums": -1}}, "rest")
    outputs = selection.apply(sources["vocals"], sources)
    np.testing.assert_allclose(outputs["quiet"], 0.5 * sources["vocals"] - sources["drums"], rtol=1e-6)
    assert not Selection.choose(INSTRUMENTS, [], {"a": dict.fromkeys(INSTRUMENTS, 0.5)}).sums_to_mixture(INSTRUMENTS)
