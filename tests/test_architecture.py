"""The house keeps its direction: pages -> auditor -> distill, Streamlit in the pages only, torch in the engine only.

import-linter checks static imports; this file also sees what it cannot: dynamic imports, top-level app.py, and what an import loads.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "transformers", "evaluate", "datasets", "onnxruntime", "fairlearn", "sklearn", "statsmodels"}
FORBIDDEN = {
    "distill": {"auditor", "pages", "streamlit", "app"},
    "auditor": {"pages", "streamlit", "app"},
    "pages": {"torch", "transformers", "evaluate", "app"},
}


def modules(package: str) -> list[Path]:
    return [path for path in sorted((ROOT / package).rglob("*.py")) if "migrations" not in path.parts]


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports anywhere, the dynamic ones with a literal name included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__"}:
                names.add(str(node.args[0].value).split(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_direction(package: str) -> None:
    wrong = {str(path.relative_to(ROOT)): imported(path) & FORBIDDEN[package] for path in modules(package)}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_checks_do_not_import_one_another() -> None:
    """What two of them need lies beside them, so that a check can be added, changed or taken away alone."""
    wrong = {
        f"{path.name}: {node.module}"
        for path in modules("auditor/checks")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("auditor.checks")
    }
    assert wrong == set()
    below = {"comparing", "judged", "language", "measuring", "paying", "slicing", "timing", "tongues"}
    users = {
        f"{name}: auditor.checks"
        for name in below
        if "auditor.checks" in (ROOT / "auditor" / f"{name}.py").read_text(encoding="utf-8")
    }
    assert users == set()


def test_only_app_and_pages_know_streamlit_and_only_state_knows_the_session() -> None:
    users = [path for path in modules("pages") if "st.session_state" in path.read_text(encoding="utf-8")]
    assert [str(path.relative_to(ROOT)) for path in users] in ([], ["pages/ui/state.py"])


def test_nothing_unpickles_evaluates_or_renders_html() -> None:
    banned = ("pickle.load", "torch.load(", "unsafe_allow_html=True", "trust_remote_code=True", "yaml.load(")
    found = {
        f"{path.relative_to(ROOT)}: {word}"
        for package in ("distill", "auditor", "pages")
        for path in modules(package)
        for word in banned
        if word in path.read_text(encoding="utf-8")
    }
    assert found == set()


def loaded_by(code: str) -> set[str]:
    """Heavy packages in sys.modules after ``code`` ran in a fresh interpreter."""
    script = f"import sys\n{code}\nprint(','.join(sorted(m for m in sys.modules if '.' not in m)))"
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(out.stdout.strip().splitlines()[-1].split(",")) & HEAVY


@pytest.mark.slow
def test_importing_every_module_outside_the_engine_loads_no_torch() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("distill", "auditor", "pages")
        for path in modules(package)
        if "engine" not in path.parts and "metrics" not in path.parts and path.stem != "__main__"
    ]
    code = "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in names)
    assert loaded_by(code) == set()


def test_command_line_help_loads_no_torch_and_no_pandas() -> None:
    script = (
        "import sys\nfrom auditor.cli.main import main\nsys.argv = ['heirloom', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('LOADED', sorted({'torch', 'pandas', 'transformers', 'streamlit'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip().endswith("LOADED []")
