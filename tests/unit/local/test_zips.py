from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from console.operations import progress
from local import zips

PACKAGES = {
    "authorizer": {"cffi", "cryptography", "jose", "_cffi_backend.so"},
    "cleanup": set(),
    "presign": set(),
    "profiles": {"psycopg", "psycopg_binary", "psycopg_binary.libs"},
    "remove": set(),
    "resize": {"PIL", "pillow.libs"},
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
