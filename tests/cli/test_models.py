"""`spleeter models`: output, exit codes and folders."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

import spleeter
from spleeter.backends.torch.weights import load_network
from spleeter.cli.models import app
from spleeter.configuration import Configuration
from spleeter.errors import DownloadError, ModelError, SpleeterError
from spleeter.model.provider import released
from spleeter.model.provider.download import RetryPolicy
from spleeter.model.provider.folder import flaw
from spleeter.model.provider.github import GithubModelProvider
from spleeter.model.provider.manifest import Verification, verify
from spleeter.utils.logging import logger
from tests.model.provider.models import archive, checkpoint_files, sha256, write_files
from tests.model.provider.server import ReleaseHost, release_host

FILES = checkpoint_files()
ARCHIVE = archive(FILES)
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the models, which is yet to be made."""
    for name in ("GITHUB_HOST", "GITHUB_REPOSITORY", "GITHUB_RELEASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # nothing is fetched from beyond this machine
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "notes"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models"


@pytest.fixture(autouse=True)
def host(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReleaseHost]:
    """The release host: its 2stems and 4stems are small, and it is asked without pauses."""
    monkeypatch.setattr(released, "ARCHIVE_SHA256", {"2stems": sha256(ARCHIVE), "4stems": sha256(ARCHIVE)})
    monkeypatch.setattr(released, "FILE_SHA256", {})
    monkeypatch.setattr(GithubModelProvider, "retry_policy", RetryPolicy(sleep=lambda seconds: None))
    with release_host() as running:
        base = "/deezer/spleeter/releases/download/v1.4.0"
        running.files = {f"{base}/{name}.tar.gz": ARCHIVE for name in ("2stems", "4stems")}
        monkeypatch.setenv("GITHUB_HOST", running.url)
        yield running


@pytest.fixture(autouse=True)
def _logger_as_before() -> Iterator[None]:
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


def run(*arguments: object) -> Result:
    """Run the command; errors meant for the entry point are raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, SpleeterError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def test_importing_it_loads_nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(spleeter.__file__).parents[1])
    code = "import sys, spleeter.cli.models; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "numpy", "pydantic", "httpx2", "filelock", "rich.table", "rich.progress"} & set(loaded)


def test_list_names_all_models_and_their_states(place: Path) -> None:
    run("download", "2stems")
    write_files(place / "4stems", {"checkpoint": b"torn"})
    write_files(place / "mine", FILES)
    write_files(place / "no-model", {"notes.txt": b""})
    header, two, two_16k, four, four_16k, mine, home = run("list").stdout.splitlines()
    assert header.split() == ["model", "instruments", "size", "state"]
    assert two.split() == ["2stems", "vocals,", "accompaniment", "0", "MB", "verified"]
    assert two_16k.split() == ["2stems-16kHz", "vocals,", "accompaniment", "as", "2stems"]
    assert four.split()[:5] == ["4stems", "vocals,", "drums,", "bass,", "other"]
    assert four.split()[-1] == "incomplete"
    assert four_16k.startswith("4stems-16kHz ")
    assert mine.split() == ["mine", "?", "0", "MB", "unverified"]
    assert home == f"in {place}"
    assert {line.index(state) for line, state in [(header, "state"), (two, "verified"), (four, "incomplete")]} == {
        header.index("state")
    }, "the columns are aligned"


def test_list_before_any_download() -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["2stems", "2stems-16kHz", "4stems", "4stems-16kHz"]
    assert all(line.endswith("not downloaded") for line in lines[1:-1:2])


def test_list_knows_the_instruments_of_a_model_of_your_own(place: Path, tiny_model: Path) -> None:
    (place / "mine").parent.mkdir()
    (place / "mine").symlink_to(tiny_model)
    assert "vocals, drums, other" in run("list").stdout.splitlines()[-2]


def test_list_of_every_released_model_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(released, "ARCHIVE_SHA256", dict.fromkeys(("2stems", "4stems", "5stems"), "0" * 64))
    monkeypatch.setattr("spleeter.cli.models.known_models", lambda provider: ["2stems", "4stems", "5stems"])
    lines = run("list").stdout.splitlines()
    assert len(lines) == 8
    assert max(map(len, lines[:-1])) <= 80


@pytest.mark.parametrize("name", ["2stems", "spleeter:2stems", "spleeter:2stems-16kHz", "2stems-16kHz"])
def test_download_once(host: ReleaseHost, place: Path, name: str) -> None:
    first, second = run("download", name), run("download", name)
    assert first.stdout == second.stdout == f"2stems: {place / '2stems'}\n"
    assert len(host.requests) == 1
    assert f"downloading model 2stems from {host.url}" in first.stderr
    assert second.stderr == ""


def test_download_several_or_all(place: Path) -> None:
    expected = "".join(f"{name}: {place / name}\n" for name in ("2stems", "4stems"))
    assert run("download", "2stems", "4stems").stdout == expected
    assert run("download", "all").stdout == expected


def test_download_by_force_repairs(host: ReleaseHost, place: Path) -> None:
    run("download", "2stems")
    (place / "2stems" / "model.data-00000-of-00001").write_bytes(bytes(len(FILES["model.data-00000-of-00001"])))
    run("download", "2stems")
    assert verify(place / "2stems", {}).differences
    run("download", "--force", "2stems")
    assert verify(place / "2stems", {}) == Verification()
    assert len(host.requests) == 2


def test_download_of_a_model_that_does_not_exist(host: ReleaseHost) -> None:
    with pytest.raises(ModelError, match="has no model 'nope', only 2stems, 4stems"):
        run("download", "nope")
    host.files.clear()
    with pytest.raises(DownloadError, match="404"):
        run("download", "2stems")
    assert run("download").exit_code == 2


def test_verify_passes_downloaded_models(place: Path) -> None:
    assert run("verify").stdout == "no model has been downloaded yet\n"
    run("download", "2stems", "4stems")
    write_files(place / "mine", FILES)
    result = run("verify")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "2stems: verified",
        "4stems: verified",
        "mine: unverified: no checksums are known for its files",
    ]


@pytest.mark.parametrize("name", ["model.data-00000-of-00001", "model.index", "checkpoint", "manifest.json"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_verify_fails_damaged_models_and_names_the_repair(place: Path, name: str, share: float) -> None:
    run("download", "2stems", "4stems")
    file = place / "2stems" / name
    file.write_bytes(bytes(int(share * file.stat().st_size)))
    result = run("verify")
    assert result.exit_code == 1
    broken, repair, other = result.stdout.splitlines()
    assert broken.startswith(("2stems: damaged: ", "2stems: incomplete: "))
    assert name in broken
    assert other == "4stems: verified"
    command = repair.partition("spleeter models ")[2].split()
    assert run(*command).exit_code == 0
    assert run("verify", "2stems").exit_code == 0


def test_verify_a_model_without_a_manifest_by_known_checksums(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sums = {name: sha256(FILES[name]) for name in ("model.index", "model.data-00000-of-00001")}
    monkeypatch.setattr(released, "FILE_SHA256", {"2stems": sums})
    write_files(place / "2stems", FILES)
    assert run("verify", "2stems").stdout == "2stems: verified\n"
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/models")
    assert run("verify", "2stems").stdout.startswith("2stems: unverified")


def hostile_folders(place: Path) -> None:
    """Models, and what else may lie beside and in them."""
    for name in ("pipe", "zero", "circle", "dangling"):
        write_files(place / name, FILES)
        (place / name / "model.index").unlink()
    os.mkfifo(place / "pipe" / "model.index")
    (place / "zero" / "model.index").symlink_to("/dev/zero")
    (place / "circle" / "model.index").symlink_to("model.index")
    (place / "dangling" / "model.index").symlink_to("nowhere")
    for name in ("model.safetensors", "checkpoint", "manifest.json", "configuration.json", "else"):
        folder = write_files(place / f"{name}-pipe", {key: data for key, data in FILES.items() if key != name})
        os.mkfifo(folder / name)
    for name in ("loop", "gone", os.fsdecode(b"\xff"), "two\nlines"):
        write_files(place / name, FILES)
        (place / name / "link").symlink_to("link" if name == "loop" else "nowhere")


@pytest.mark.skipif(sys.platform == "win32", reason="has no pipes in folders")
def test_list_and_verify_get_over_whatever_lies_in_the_folder(place: Path) -> None:
    hostile_folders(place)
    environment = {**os.environ, "PYTHONPATH": str(Path(spleeter.__file__).parents[1])}
    for command in ("list", "verify"):
        done = subprocess.run(
            [sys.executable, "-m", "spleeter", "models", command],
            capture_output=True, text=True, env=environment, timeout=60, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        for name in ("loop", "gone", r"'\udcff'", r"'two\nlines'", "else-pipe"):
            assert [line for line in lines if line.startswith(name) and "unverified" in line], name
        assert [line for line in lines if line.startswith("manifest.json-pipe") and "damaged" in line]
        assert not [line for line in lines if line.startswith(("pipe", "zero", "circle", "dangling", "checkpoint"))]


def test_verify_a_model_that_is_not_downloaded() -> None:
    result = run("verify", "2stems")
    assert (result.exit_code, result.stdout) == (1, "2stems: not downloaded\n")


def test_path(place: Path) -> None:
    assert run("path").stdout == f"{place}\n"
    assert run("path", "spleeter:4stems-16kHz").stdout == f"{place / '4stems'}\n"
    with pytest.raises(ModelError):
        run("path", "../elsewhere")


def assert_converted(source: Path, configuration: Configuration, output: Path) -> None:
    """Both folders give the same network, and the new one describes itself."""
    stored = Configuration.load(output)
    assert stored.instrument_list == configuration.instrument_list
    expected = load_network(source, configuration).state_dict()
    found = load_network(output, stored).state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert flaw(output) is None


def test_convert_a_tensorflow_checkpoint(tmp_path: Path) -> None:
    source = GOLDEN / "softmax-unet-2stems-average"
    output = tmp_path / "new" / "converted"
    result = run("convert", source, output, "-p", source / "config.json")
    assert result.stdout == f"{output}: converted from {source}\n"
    assert {file.name for file in output.iterdir()} == {"model.safetensors", "configuration.json"}
    assert_converted(source, Configuration.load(source / "config.json"), output)


def test_convert_a_model_by_its_name(
    tmp_path: Path, tiny_model: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "2stems").parent.mkdir()
    (place / "2stems").symlink_to(tiny_model)
    run("convert", "spleeter:2stems-16kHz", tmp_path / "converted", "-p", tiny_model / "configuration.json")
    assert_converted(tiny_model, Configuration.load(tiny_model), tmp_path / "converted")


def test_convert_needs_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(SpleeterError, match="with -p"):
        run("convert", GOLDEN / "softmax-unet-2stems-average", tmp_path / "converted")


def test_convert_uses_the_configuration_in_the_folder(tmp_path: Path, tiny_model: Path) -> None:
    run("convert", tiny_model, tmp_path / "converted")
    assert_converted(tiny_model, Configuration.load(tiny_model), tmp_path / "converted")


def test_convert_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder"):
        run("convert", tmp_path / "absent", tmp_path / "converted", "-p", "spleeter:2stems")
    with pytest.raises(ModelError, match="neither"):
        run("convert", tmp_path, tmp_path / "converted", "-p", "spleeter:2stems")
    assert not (tmp_path / "converted").exists()


def test_debug_messages_are_shown_with_verbose_only() -> None:
    run("list")
    assert logger.level == logging.INFO
    run("--verbose", "list")
    assert logger.level == logging.DEBUG
