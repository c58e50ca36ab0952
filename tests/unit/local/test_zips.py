from __future__ import annotations

import datetime
import shutil
import zipfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from console.operations import progress
from console.operations.errors import OperationError
from local import zips

MB = 1_000_000
# Sent in the call, unpacked: docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
DIRECT_UPLOAD, UNPACKED = 50 * MB, 250 * MB

PACKAGES = {
    "authorizer": {"cffi", "cryptography", "jose", "_cffi_backend.so"},
    "cleanup": set(),
    "crop": set(),
    "probe": set(),
    "presign": set(),
    "profiles": {"psycopg", "psycopg_binary", "psycopg_binary.libs"},
    "rekognition": set(),
    "remove": set(),
    "report": set(),
    "resize": {"PIL", "blurhash_rs", "pillow.libs"},
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[zips.Target, Path]:
    directory = tmp_path_factory.mktemp("zips")
    for target in zips.PLATFORMS:
        zips.build(target, directory / target, progress.ignore)
    return {target: directory / target for target in zips.PLATFORMS}


def top_level(zip_file: Path) -> set[str]:
    names = {name.split("/")[0] for name in zipfile.ZipFile(zip_file).namelist()}
    names.discard("typing_extensions.py")  # of Pythons before 3.13 only
    return {"_cffi_backend.so" if name.startswith("_cffi_backend.") else name for name in names}


@pytest.mark.parametrize("target", zips.PLATFORMS)
@pytest.mark.parametrize("function", zips.FUNCTIONS)
def test_a_zip_holds_its_function_and_what_that_needs(
    built: dict[zips.Target, Path], target: zips.Target, function: str
) -> None:
    own = {function, *zips.SHARED}
    assert top_level(built[target] / f"{function}.zip") == own | PACKAGES[function]


@pytest.mark.parametrize("target", zips.PLATFORMS)
def test_building_again_gives_the_same_bytes(
    built: dict[zips.Target, Path], target: zips.Target, tmp_path: Path
) -> None:
    for again in zips.build(target, tmp_path, progress.ignore):
        assert again.read_bytes() == (built[target] / again.name).read_bytes()


def test_aws_zips_are_for_its_processor_and_interpreter(
    built: dict[zips.Target, Path],
) -> None:
    names = zipfile.ZipFile(built["aws"] / "resize.zip").namelist()
    compiled = [name for name in names if name.endswith(".so") and name.startswith("PIL/")]
    assert compiled
    assert all("cpython-313-aarch64-linux" in name for name in compiled)


def test_nothing_is_built_twice_without_a_change(
    built: dict[zips.Target, Path],
) -> None:
    before = (built["local"] / "resize.zip").stat().st_mtime_ns
    zips.build("local", built["local"], progress.ignore)
    assert (built["local"] / "resize.zip").stat().st_mtime_ns == before


@pytest.mark.parametrize("target", zips.PLATFORMS)
@pytest.mark.parametrize("function", zips.FUNCTIONS)
def test_no_compressor_decides_about_the_bytes_and_lambda_takes_them(
    built: dict[zips.Target, Path], target: zips.Target, function: str
) -> None:
    zip_file = built[target] / f"{function}.zip"
    entries = zipfile.ZipFile(zip_file).infolist()
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert zip_file.stat().st_size < DIRECT_UPLOAD / 1.5, "little is left until another way"
    assert sum(entry.file_size for entry in entries) < UNPACKED


def certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an issuer")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_a_bundle_of_certificates_goes_into_the_zip_and_nothing_else_passes_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "lambdas"
    shutil.copytree(zips.LAMBDAS, sources, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(zips, "ROOT", tmp_path)
    monkeypatch.setattr(zips, "LAMBDAS", sources)
    monkeypatch.setattr(zips, "__file__", str(tmp_path / "zips.py"))
    (tmp_path / "zips.py").touch()
    bundle = sources / "profiles/global-bundle.pem"
    bundle.write_text("<html>404</html>")
    with pytest.raises(OperationError, match=r"profiles/global-bundle\.pem holds no certificates"):
        zips.build("local", tmp_path / "zips", progress.ignore)
    bundle.write_bytes(certificate())
    zips.build("local", tmp_path / "zips", progress.ignore)
    archive = zipfile.ZipFile(tmp_path / "zips/profiles.zip")
    assert archive.read("profiles/global-bundle.pem") == bundle.read_bytes()
