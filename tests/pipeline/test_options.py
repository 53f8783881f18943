"""What is chosen by quality and bandwidth, and what is refused."""

from pathlib import Path

import pytest

from spleeter.configuration import Configuration
from spleeter.errors import ConfigurationError
from spleeter.pipeline.options import PRESETS, Quality, configured, exactly
from tests.conftest import TINY


def test_presets_go_from_cheap_to_dear() -> None:
    def cost(quality: Quality) -> float:
        return quality.shifts / (1 - quality.overlap)

    costs = [cost(Quality.preset(name)) for name in ("fast", "balanced", "best")]
    assert list(PRESETS) == ["fast", "balanced", "best"]
    assert costs == sorted(set(costs))
    assert Quality.preset("fast") == Quality()


def test_changes_leave_the_rest_of_a_preset() -> None:
    best = Quality.preset("best")
    assert best.with_changes() == best
    assert best.with_changes(overlap=0.1) == Quality(0.1, best.shifts, best.mwf)
    assert best.with_changes(shifts=7) == Quality(best.overlap, 7, best.mwf)
    assert Quality().with_changes(mwf=True) == Quality(mwf=True)
    assert best.with_changes(mwf=False).mwf, "what a preset has is not taken away"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"overlap": -0.1}, "overlap -0.1 is out of range: choose 0 to 0.9"),
        ({"overlap": 1.0}, "overlap 1 is out of range"),
        ({"overlap": float("nan")}, "overlap nan is out of range"),
        ({"shifts": 0}, "shifts 0 is out of range: choose a whole number from 1 to 64"),
        ({"shifts": 65}, "shifts 65 is out of range"),
    ],
)
def test_values_out_of_range_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Quality(**arguments)  # type: ignore[arg-type]


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="unknown quality 'great': choose fast, balanced, best"):
        Quality.preset("great")


@pytest.mark.parametrize("name", Configuration.embedded_names())
def test_the_released_models_are_heard_in_full(name: str) -> None:
    original = Configuration.load(f"spleeter:{name}")
    heard = configured(f"spleeter:{name}")
    assert heard.mask_extension == "average"
    assert {**heard.to_dict(), "mask_extension": original.mask_extension} == original.to_dict()


def test_what_a_file_a_mapping_or_an_object_says_is_left_as_it_is(tmp_path: Path) -> None:
    mapping = {**TINY, "mask_extension": "zeros"}
    configuration = Configuration.load(mapping)
    (tmp_path / "my.json").write_text(configuration.to_json())
    for descriptor in (mapping, configuration, tmp_path / "my.json"):
        assert configured(descriptor) == configuration


@pytest.mark.parametrize(
    ("bandwidth", "F", "extension"), [("11k", 1024, "zeros"), ("16k", 1536, "zeros"), ("full", 1024, "average")]
)
def test_bandwidths_of_the_released_models(bandwidth: str, F: int, extension: str) -> None:
    configuration = configured("spleeter:2stems", bandwidth)
    assert (configuration.F, configuration.mask_extension) == (F, extension)


def test_16k_is_the_originals_16khz_configuration() -> None:
    assert configured("spleeter:4stems", "16k") == Configuration.load("spleeter:4stems-16kHz")
    assert configured("spleeter:4stems-16kHz", "11k") == Configuration.load("spleeter:4stems")


def test_a_bandwidth_beyond_the_spectrum_ends_with_it() -> None:
    low = Configuration.load({**TINY, "sample_rate": 22050, "F": 512})
    assert configured(low, "16k").F == 512


def test_a_network_bound_to_its_bins_has_no_other_bandwidth() -> None:
    bound = Configuration.load({**TINY, "model": {"type": "blstm.blstm", "params": {}}, "mask_extension": "zeros"})
    with pytest.raises(ConfigurationError, match=r"bandwidth '16k' is for U-Nets.*'blstm.blstm' is bound to 512"):
        configured(bound, "16k")
    assert configured(bound, "full").mask_extension == "average"


def test_an_unknown_bandwidth_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="unknown bandwidth '12k': choose 11k, 16k, full"):
        configured("spleeter:2stems", "12k")


@pytest.mark.parametrize("extension", ["zeros", "average"])
def test_exactly_is_as_written_but_for_the_originals_wiener_filter(extension: str) -> None:
    written = Configuration.load({**TINY, "mask_extension": extension})
    assert exactly(written, mwf=False) == written
    assert exactly(written, mwf=True).mask_extension == "zeros"
    assert exactly({**written.to_dict(), "MWF": True}, mwf=False).mask_extension == "zeros"
