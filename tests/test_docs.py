"""The documentation: snippets run as pasted, links lead somewhere, every public name is in it."""

import ast
import importlib
import inspect
import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if p.name != "cli.md")
RUN = [
    ROOT / "README.md",
    DOCS / "index.md",
    DOCS / "tutorial.md",
    *sorted(DOCS.glob("howto/*.md")),
]
"""Pages whose Python needs no files of the user's. shards.md and anchors.md have their own tests;
of the others, which name the user's files, the imports run and the rest is compiled."""
sys.path.insert(0, str(DOCS))

import make_api  # noqa: E402
import make_notebook  # noqa: E402


def snippets(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.S)


@pytest.mark.parametrize("page", [p for p in RUN if snippets(p, "python")], ids=lambda p: p.name)
def test_python_runs_as_pasted(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for language, code in re.findall(r"```(python|bash)\n(.*?)```", page.read_text("utf-8"), re.S):
        if language == "python":
            exec(compile(code, str(page), "exec"), space)
        elif page.name == "tutorial.md":
            run_commands(code)


@pytest.mark.parametrize("page", [p for p in PAGES if p not in RUN], ids=lambda p: p.name)
def test_python_of_other_pages_imports_what_there_is(page):
    for code in snippets(page, "python"):
        tree = ast.parse(code)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        ours = [n for n in imports if "posebank" in ast.unparse(n)]
        exec(compile(ast.Module(ours, []), str(page), "exec"), {})


def run_commands(text: str) -> None:
    from click.testing import CliRunner

    from posebank_cli.main import main

    for line in text.splitlines():
        name, *arguments = line.split("#")[0].split()
        assert name == "posebank"
        more = (
            ["--workers", "1"] if arguments[0] in ("ingest", "annotate", "match", "label") else []
        )
        result = CliRunner().invoke(main, [*arguments, *more])
        assert result.exit_code == 0, (line, result.output)


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in [*PAGES, *ROOT.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_every_page_is_in_the_navigation():
    listed = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(listed) == sorted(str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md"))


def test_every_public_name_is_documented():
    assert (DOCS / "reference" / "api.md").read_text("utf-8") == make_api.page(), "run `make docs`"
    bare = []
    for package, names in make_api.public_names().items():
        module = importlib.import_module(package)
        for name in names:
            value = getattr(module, name)
            if (inspect.isclass(value) or callable(value)) and not inspect.getdoc(value):
                bare.append(f"{package}.{name}")
    assert bare == []


def test_notebook_is_the_tutorial_and_runs(tmp_path, monkeypatch):
    assert (DOCS / "tutorial.ipynb").read_text("utf-8") == make_notebook.text(), "run `make docs`"
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    # The kernel's shell commands must find this environment's posebank.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    read = nbformat.read(DOCS / "tutorial.ipynb", as_version=4)
    nbclient.NotebookClient(
        read, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert (tmp_path / "best.png").exists()
    assert (tmp_path / "ws" / "report" / "index.html").exists()
