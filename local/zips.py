"""Build the functions' zips: the same bytes from the same sources, on any machine.

Each zip holds one function's folder, the modules every function shares, and the packages that
its ``requirements.txt`` pins, for AWS's interpreter or for the emulator's.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import ssl
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from console.operations import progress
from console.operations.errors import OperationError
from local.emulator import uv
from local.settings import ROOT

Target = Literal["aws", "local"]
FUNCTIONS = (
    "authorizer",
    "cleanup",
    "crop",
    "presign",
    "probe",
    "profiles",
    "rekognition",
    "remove",
    "report",
    "resize",
)
SHARED = (
    "avatar_crop.py",
    "avatar_variants.py",
    "dynamodb.py",
    "env_settings.py",
    "http_api.py",
    "json_log.py",
    "limits.py",
    "picture_kinds.py",
    "sigv4.py",
    "sqs_batch.py",
)
LAMBDAS = ROOT / "lambdas"
# Certificates of a database server's issuers; whoever wants them puts them there
CA_BUNDLE = "global-bundle.pem"
# Of an installed package, what a running function never reads
_SKIPPED = ("__pycache__", "tests", "bin", "include", "py.typed")
_SKIPPED_SUFFIXES = (".pyi", ".pyc", ".c", ".h", ".pyx", ".pxd", ".dist-info")
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Platform:
    """What the packages inside must run on, in uv's words."""

    python: str
    platform: str | None


PLATFORMS: dict[Target, Platform] = {
    "aws": Platform("3.13", "aarch64-manylinux_2_28"),
    # the emulator runs functions on the interpreter that runs it
    "local": Platform(f"{sys.version_info.major}.{sys.version_info.minor}", None),
}


def build(target: Target, directory: Path, report: progress.Report) -> list[Path]:
    """Build every function's zip into the folder, or keep those whose sources didn't change.

    Returns
    -------
    list of Path
        The zips, in the order of `FUNCTIONS`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    zips = []
    for done, function in enumerate(FUNCTIONS):
        report(
            progress.Event("Function zips", "advanced", function, done=done, total=len(FUNCTIONS))
        )
        zips.append(_build_one(function, target, directory))
    return zips


def _build_one(function: str, target: Target, directory: Path) -> Path:
    zip_file = directory / f"{function}.zip"
    stamp = directory / f"{function}.sources"
    sources = _fingerprint(function, target)
    if zip_file.exists() and stamp.exists() and stamp.read_text() == sources:
        return zip_file
    if (bundle := LAMBDAS / function / CA_BUNDLE).exists():
        _check_bundle(bundle)
    with tempfile.TemporaryDirectory() as folder:
        staging = Path(folder)
        requirements = LAMBDAS / function / "requirements.txt"
        if requirements.exists():
            _install(requirements, staging, PLATFORMS[target])
        for module in SHARED:
            shutil.copy(LAMBDAS / module, staging)
        shutil.copytree(
            LAMBDAS / function,
            staging / function,
            ignore=shutil.ignore_patterns("__pycache__", "requirements.*"),
        )
        partial = zip_file.with_suffix(".partial")
        _write_zip(staging, partial)
        partial.replace(zip_file)
    stamp.write_text(sources)
    return zip_file


def _check_bundle(bundle: Path) -> None:
    """Raise OperationError unless the file holds certificates, such as a page that says "404"."""
    try:
        ssl.create_default_context(cadata=bundle.read_text("ascii"))
    except (ValueError, ssl.SSLError) as error:
        raise OperationError(
            f"lambdas/{bundle.parent.name}/{bundle.name} holds no certificates: {error}.",
            "Fetch it again (docs/migrations.md, TLS), or delete it.",
        ) from error


def _install(requirements: Path, directory: Path, platform: Platform) -> None:
    options = ["--python-platform", platform.platform] if platform.platform else []
    uv(
        "pip",
        "install",
        "--quiet",
        "--target",
        str(directory),
        "--python-version",
        platform.python,
        *options,
        "--only-binary",
        ":all:",
        "--no-deps",
        "--require-hashes",
        "--requirements",
        str(requirements),
    )


def _write_zip(directory: Path, zip_file: Path) -> None:
    # Not compressed: zlib and zlib-ng, which other builds of Python have, give other bytes
    with zipfile.ZipFile(zip_file, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(_files(directory)):
            entry = zipfile.ZipInfo(path.relative_to(directory).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_STORED
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())


def _files(directory: Path) -> Iterator[Path]:
    for path in directory.rglob("*"):
        parts = path.relative_to(directory).parts
        skipped = any(
            part in _SKIPPED or part.startswith(".") or part.endswith(_SKIPPED_SUFFIXES)
            for part in parts
        )
        if path.is_file() and not skipped:
            yield path


def _fingerprint(function: str, target: Target) -> str:
    paths = [*(LAMBDAS / module for module in SHARED), Path(__file__)]
    paths += [
        path for path in (LAMBDAS / function).rglob("*") if path.suffix in {".py", ".txt", ".pem"}
    ]
    digest = hashlib.sha256(json.dumps([str(PLATFORMS[target]), sys.version]).encode())
    for path in sorted(paths):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
