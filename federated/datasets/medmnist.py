"""MedMNIST v2, any 2-D data set at 28×28 by its published name.

Yang, Shi, Wei, et al. 2023, doi 10.1038/s41597-022-01721-8; Zenodo record 10519652. The published
train, val and test images are pooled: every hospital splits its own share anew, or keeps them apart
as published. Names no hospitals.
"""

from __future__ import annotations

import hashlib
import urllib.request
import zipfile
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from federated import plugins, records
from federated.datasets._medmnist_catalogue import CATALOGUE, Published
from federated.errors import ConfigError, CorruptDataError, DataError
from federated.schema import ImageSchema, Labels
from federated.split import TEST, TRAIN, VALIDATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIMEOUT = 60.0
_CHUNK = 1 << 20
_PARTS = {"train": TRAIN, "val": VALIDATION, "test": TEST}


@plugins.options
class Medmnist:
    """name: as published, e.g. pneumoniamnist. path: a local .npz, taken as it is (no MD5 check);
    null downloads it once. url: the folder that `<name>.npz` is downloaded from. official_split:
    the archive's train, val and test images train, validate and test."""

    name: str = "pneumoniamnist"
    path: str | None = None
    url: str = "https://zenodo.org/records/10519652/files"
    official_split: bool = False

    def __post_init__(self) -> None:
        if self.name not in CATALOGUE:
            hint = plugins.nearest(self.name, sorted(CATALOGUE))
            raise ConfigError(f"data.source.name: no 2-D MedMNIST is called {self.name!r}; {hint}")

    @property
    def files(self) -> tuple[str, ...]:
        """The archive that is given; a downloaded one is pinned by its published MD5."""
        return () if self.path is None else (self.path,)

    def read(self, project: Path) -> records.Images:
        """Every image, in published order. Raises DataError for a failed or damaged download."""
        published = CATALOGUE[self.name]
        source = self.path or f"data/raw/medmnist/{self.name}.npz"
        archive = project / source
        if self.path is None:
            if not archive.exists():
                _download(f"{self.url.rstrip('/')}/{self.name}.npz", archive, published.md5)
            _verify(archive, published.md5)
        pixels, labels, split = _load(archive, published)
        several = published.multi_label
        schema = ImageSchema(
            shape=(published.channels, 28, 28),
            target=self.name,
            classes=() if several else published.classes,
            question=Labels(names=published.classes) if several else None,
        )
        own = split if self.official_split else None
        return records.Images(pixels, labels, schema, None, source, own)


def _download(url: str, archive: Path, md5: str) -> None:
    """Fetch beside `archive`, check, then rename: no half file is ever found there."""
    partial = archive.with_name(f".{archive.name}.partial")
    digest = hashlib.md5(usedforsecurity=False)
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as reply, partial.open("wb") as file:
            while chunk := reply.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != md5:
            raise CorruptDataError(
                f"{url}: MD5 is {digest.hexdigest()}, published is {md5}; nothing was kept. "
                "Try again, or give a local copy in data.source.path"
            )
        partial.replace(archive)
    except (OSError, HTTPException, ValueError) as error:  # ValueError: not a URL
        raise DataError(
            f"{url}: download to {archive} failed ({error}); try again, or fetch it by hand "
            "and give it in data.source.path"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _verify(archive: Path, md5: str) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        raise CorruptDataError(
            f"{archive}: MD5 is {found}, published is {md5}; delete it to download it again"
        )


def _load(
    archive: Path, published: Published
) -> tuple[NDArray[np.uint8], NDArray[Any], NDArray[np.uint8]]:
    """Pooled pixels uint8 [n, c, 28, 28], targets and split codes uint8 [n]."""
    if not archive.is_file():
        raise DataError(f"{archive}: no such file; give the right path in data.source.path")
    try:
        with np.load(archive, allow_pickle=False) as arrays:
            images = [arrays[f"{part}_images"] for part in _PARTS]
            pixels = np.concatenate(images)
            labels = np.concatenate([arrays[f"{part}_labels"] for part in _PARTS])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{archive}: not a whole MedMNIST .npz archive ({error})") from error
    expected = (28, 28) if published.channels == 1 else (28, 28, 3)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != expected:
        raise DataError(
            f"{archive}: images are {pixels.dtype} {pixels.shape[1:]}, expected uint8 {expected}; "
            "take the 28×28 archive"
        )
    pixels = pixels.reshape(-1, 28, 28, published.channels).transpose(0, 3, 1, 2)
    split = np.repeat([*_PARTS.values()], [len(part) for part in images]).astype(np.uint8)
    return np.ascontiguousarray(pixels), _targets(archive, labels, len(pixels), published), split


def _targets(
    archive: Path, labels: NDArray[Any], images: int, published: Published
) -> NDArray[Any]:
    """One class int64 [n] an image, or several labels float64 [n, L], 0 or 1."""
    labels = labels.reshape(len(labels), -1)
    classes = len(published.classes)
    width, top = (classes, 1) if published.multi_label else (1, classes - 1)
    if labels.shape != (images, width) or not ((labels >= 0) & (labels <= top)).all():
        what = "one label" if width == 1 else f"{width} labels"
        raise DataError(
            f"{archive}: expected {what} in 0 to {top} for each of {images} images; is it the "
            "archive of data.source.name?"
        )
    if published.multi_label:
        return labels.astype(np.float64)
    return labels[:, 0].astype(np.int64)
