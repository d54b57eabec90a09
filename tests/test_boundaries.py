"""The two outer packages never meet, and what each may import is kept."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REGISTRY_MAY_IMPORT = {"model_registry", "storage", "msgspec", "numpy", "onnxruntime"}
FLOW = ["pictures", "listings", "models", "evaluation", "release", "monitoring"]


def imports(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def sources(package: str) -> list[Path]:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    return files


@pytest.mark.parametrize("file", sources("model_registry"), ids=lambda file: file.name)
def test_the_registry_imports_only_storage_the_standard_library_msgspec_numpy_and_onnxruntime(file: Path) -> None:
    roots = {name.split(".")[0] for name in imports(file)}
    command_line = {"click", "rich", "prediction_log"} if file.parent.name == "cli" else set[str]()
    assert roots - set(sys.stdlib_module_names) <= REGISTRY_MAY_IMPORT | command_line


@pytest.mark.parametrize("file", sources("prediction_log"), ids=lambda file: file.name)
def test_the_prediction_log_imports_only_storage_the_standard_library_and_msgspec(file: Path) -> None:
    roots = {name.split(".")[0] for name in imports(file)}
    assert roots - set(sys.stdlib_module_names) <= {"prediction_log", "storage", "msgspec"}


@pytest.mark.parametrize("file", sources("storage"), ids=lambda file: file.name)
def test_storage_imports_only_the_standard_library_and_obstore(file: Path) -> None:
    roots = {name.split(".")[0] for name in imports(file)}
    assert roots - set(sys.stdlib_module_names) <= {"storage", "obstore"}


@pytest.mark.parametrize(("package", "other"), [("api", "mle_assets"), ("mle_assets", "api")])
def test_the_outer_packages_never_import_each_other(package: str, other: str) -> None:
    for file in sources(package):
        assert other not in {name.split(".")[0] for name in imports(file)}, file


@pytest.mark.parametrize("room", FLOW)
def test_imports_between_the_rooms_point_upstream(room: str) -> None:
    downstream = FLOW[FLOW.index(room) + 1 :]
    for file in sources(f"mle_assets/{room}"):
        for name in imports(file):
            assert not any(name.startswith(f"mle_assets.{later}") for later in downstream), (file, name)


@pytest.mark.parametrize(
    "module",
    ["api.app", "api.__main__", "model_registry.registries", "model_registry.cli.main", "prediction_log.writer"],
)
def test_serving_loads_no_pipeline_library(module: str) -> None:
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"dagster", "matplotlib", "pandas", "sklearn", "onnx", "skl2onnx", "mle_assets"} & set(loaded)
    # Whoever has folders loads no client of an object store.
    assert "obstore" not in loaded


@pytest.mark.parametrize("package", ["api", "mle_assets", "model_registry", "prediction_log", "storage"])
def test_the_environment_is_read_in_one_file_of_each_side(package: str) -> None:
    # mle_assets/__init__.py reads nothing there: it tells libraries how many threads to have.
    readers = {"api": {"__main__.py"}, "mle_assets": {"definitions.py", "__init__.py"}}
    found = {file.name for file in sources(package) if "environ" in file.read_text().replace("environment", "")}
    assert found <= readers.get(package, set())
