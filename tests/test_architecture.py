"""The budgets of the architecture, measured from the source itself.

Each measure takes the files of a package and returns its violations, one line each: where, what was measured, what is
allowed. Each is tested twice: on src/dozero, and on a small tree with the violation planted, so that it is known to bite.
"""

import ast
import io
import os
import re
import resource
import socket
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "dozero"

# A package imports only from those before it. `testing` and `__main__` come last: nothing shipped leans on them.
ORDER = (
    *(
        "errors",
        "settings",
        "config",
        "durable",
        "artifact",
        "processes",
        "hardware",
        "compiler",
        "device",
        "measure",
        "stories",
        "corpus",
        "tokenizer",
        "dataset",
        "model",
        "generate",
    ),
    *("eval", "train", "tune", "interop", "pipeline", "rag", "feedback", "serve", "learn", "studio", "cli"),
    *("testing", "__main__"),
)
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_NESTING, MAX_HELP_S = 500, 60, 4, 0.3
TIGHTER_FILES = {"model/transformer.py": 250}
VAGUE_MODULES = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"}
VAGUE_FUNCTIONS = ("process_", "handle_")
PICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
PICKLED_FILES = (".pkl", ".pickle", ".joblib", ".dill")
CONTROL_FLOW = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SILENCER = re.compile(r"#\s*(?:(?:type|pyright):\s*ignore|(?:ruff:\s*)?noqa|pragma:\s*no\s)", re.IGNORECASE)
JUSTIFIED = re.compile(
    r"#\s*(?:(?:type|pyright):\s*ignore\[[\w\s,-]+\]|(?:ruff:\s*)?noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|pragma: no \w+)"
    r" - \w.*\w"
)


@dataclass(frozen=True)
class Source:
    """One Python file, read and parsed; `name` is its path inside its package."""

    path: Path
    package: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.relative_to(self.package).as_posix()

    @property
    def module(self) -> str:
        parts = self.path.relative_to(self.package.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def at(self, line: int) -> str:
        return f"{self.path.relative_to(self.package.parent.parent).as_posix()}:{line}"

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, FUNCTIONS))


def read_sources(package: Path) -> list[Source]:
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    return [Source(path, package, text, ast.parse(text, str(path))) for path, text in texts.items()]


# --- imports -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Import:
    """One name imported from our own package, anywhere in a file: inside functions and TYPE_CHECKING blocks too."""

    where: str
    name: str
    target: str


def imported_names(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(names=names):
            return [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in names]
        case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if dotted(func).endswith("import_module"):
            return [name]
    return []


def imports_of(source: Source, modules: set[str]) -> Iterator[Import]:
    for node in ast.walk(source.tree):
        for name in imported_names(node):
            target = name
            while target and target not in modules and not name.startswith("."):  # a.b.Name is found in a.b
                target = target.rpartition(".")[0]
            if target:
                yield Import(source.at(node.lineno), name, target)


def layer(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def find_import_cycles(sources: list[Source]) -> list[str]:
    modules = {source.module for source in sources}
    edges = {(s.module, i.target): i.where for s in sources if layer(s.module) for i in imports_of(s, modules)}
    graph = {module: {target for origin, target in edges if origin == module} for module in modules}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = error.args[1][::-1]
        steps = (f"{edges[a, b]} {a} -> {b}" for a, b in pairwise(cycle))
        return ["import cycle, allowed 0: " + "; ".join(steps)]
    return []


def find_imports_against_the_order(sources: list[Source]) -> list[str]:
    modules, found = {source.module for source in sources}, []
    for source in sources:
        own = layer(source.module)
        if own and own not in ORDER:
            found.append(f"{source.at(1)}: package {own} has no place in ORDER")
        if not own or own not in ORDER:  # the top __init__ names everything, lazily
            continue
        for item in imports_of(source, modules):
            target = layer(item.target)
            if item.name.startswith("."):
                found.append(f"{item.where}: relative import of {item.name}; write it from dozero on")
            elif not target and item.name != "dozero.__version__" and own != "testing":
                found.append(f"{item.where}: {item.name} comes from the top of the package; name its own module")
            elif target in ORDER and ORDER.index(target) > ORDER.index(own):
                found.append(f"{item.where}: {own} imports {item.target}, which comes after it in ORDER")
    return found


# --- sizes -------------------------------------------------------------------------------------------------------


def find_long_files(sources: list[Source]) -> list[str]:
    lines = {source: len(source.text.splitlines()) for source in sources}
    allowed = {source: TIGHTER_FILES.get(source.name, MAX_FILE_LINES) for source in sources}
    return [f"{s.at(n)}: file has {n} lines, allowed {allowed[s]}" for s, n in lines.items() if n > allowed[s]]


def find_long_functions(sources: list[Source]) -> list[str]:
    sizes = [(s, f, (f.end_lineno or f.lineno) - f.lineno + 1) for s in sources for f in s.functions()]
    return [
        f"{s.at(f.lineno)}: {f.name} has {n} lines, allowed {MAX_FUNCTION_LINES}"
        for s, f, n in sizes
        if n > MAX_FUNCTION_LINES
    ]


def deepest(node: ast.AST, depth: int = 0) -> tuple[int, int]:
    """Return the greatest number of control statements inside each other, and the line where it is reached."""
    worst = (depth, getattr(node, "lineno", 0))
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            continue  # measured on their own
        is_elif = isinstance(node, ast.If) and child in node.orelse and child.col_offset == node.col_offset
        worst = max(
            worst, deepest(child, depth + (isinstance(child, CONTROL_FLOW) and not is_elif)), key=lambda w: w[0]
        )
    return worst


def find_deep_nesting(sources: list[Source]) -> list[str]:
    depths = [(s, f, *deepest(f)) for s in sources for f in s.functions()]
    return [
        f"{s.at(line)}: {f.name} nests {depth} deep, allowed {MAX_NESTING}"
        for s, f, depth, line in depths
        if depth > MAX_NESTING
    ]


# --- words -------------------------------------------------------------------------------------------------------


def unannotated(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    of = function.args
    parameters = [*of.posonlyargs, *of.args, *of.kwonlyargs, *filter(None, (of.vararg, of.kwarg))]
    missing = [p.arg for p in parameters if p.annotation is None and p.arg not in ("self", "cls")]
    return missing + (["return"] if function.returns is None else [])


def find_missing_annotations(sources: list[Source]) -> list[str]:
    missing = [(s, f, name) for s in sources for f in s.functions() for name in unannotated(f)]
    return [f"{s.at(f.lineno)}: {f.name} does not annotate {name}, allowed 0 missing" for s, f, name in missing]


def public_definitions(node: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    for child in node.body:
        if not isinstance(child, (*FUNCTIONS, ast.ClassDef)) or child.name.startswith("_"):
            continue
        if not {"overload", "override"} & {dotted(d).rpartition(".")[2] for d in child.decorator_list}:
            yield child
        if isinstance(child, ast.ClassDef):
            yield from public_definitions(child)


def find_missing_docstrings(sources: list[Source]) -> list[str]:
    modules = [(s, s.tree, 1, s.module) for s in sources if s.tree.body]
    names = [(s, node, node.lineno, node.name) for s in sources for node in public_definitions(s.tree)]
    return [
        f"{s.at(line)}: {name} has no docstring, allowed 0 missing"
        for s, node, line, name in modules + names
        if not ast.get_docstring(node)
    ]


def find_naked_silencers(sources: list[Source]) -> list[str]:
    found = []
    for source in sources:
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
            silencers = SILENCER.finditer(token.string) if token.type == tokenize.COMMENT else ()
            if not all(JUSTIFIED.match(token.string, silencer.start()) for silencer in silencers):
                found.append(f"{source.at(token.start[0])}: {token.string!r} lacks a rule or, after ' - ', a reason")
    return found


def find_vague_names(sources: list[Source]) -> list[str]:
    modules = [f"{s.at(1)}: vague name {p}" for s in sources for p in s.module.split(".") if p in VAGUE_MODULES]
    functions = [(s, f) for s in sources for f in s.functions() if f.name.lstrip("_").startswith(VAGUE_FUNCTIONS)]
    return modules + [f"{s.at(f.lineno)}: vague name {f.name}, say what it does" for s, f in functions]


# --- tests mirror the source -------------------------------------------------------------------------------------


def has_content(tree: ast.Module) -> bool:
    """Whether a module does more than import, describe itself and list its names."""

    def is_form(node: ast.stmt) -> bool:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                return True
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return True
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                return True
        return False

    return not all(is_form(node) for node in tree.body)


def find_missing_mirrors(sources: list[Source]) -> list[str]:
    found = []
    for source in sources:
        if source.name == "__main__.py" or not has_content(source.tree):
            continue
        inside = source.path.relative_to(source.package)
        mirror = source.package.parent.parent / "tests" / inside.with_name(f"test_{inside.stem.strip('_')}.py")
        if not mirror.exists() or "def test_" not in mirror.read_text(encoding="utf-8"):
            found.append(f"{source.at(1)}: no tests in {mirror.relative_to(source.package.parent.parent).as_posix()}")
    return found


# --- what is banned ----------------------------------------------------------------------------------------------


def dotted(node: ast.AST) -> str:
    """Return a.b.c for the expression a.b.c, looking through calls; "" for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{dotted(value)}.{attr}"
        case ast.Call(func=func):
            return dotted(func)
    return ""


def is_banned_name(name: str) -> bool:
    root, last = name.partition(".")[0], name.rpartition(".")[2]
    return (
        root in PICKLERS
        or (root == "torch" and last in ("load", "save"))
        or name in ("eval", "exec", "builtins.eval", "builtins.exec")
        or last in ("read_pickle", "to_pickle")
    )


def banned_use(node: ast.AST) -> str | None:
    match node:
        case ast.Import() | ast.ImportFrom():
            return next(filter(is_banned_name, imported_names(node)), None)
        case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()) if is_banned_name(dotted(node)):
            return dotted(node)
        case ast.keyword(arg="allow_pickle", value=value) if not (isinstance(value, ast.Constant) and not value.value):
            return "allow_pickle"
        case ast.Constant(value=str(text)) if text.endswith(PICKLED_FILES):
            return f"a pickled file, {text!r}"
    return None


def find_banned_uses(sources: list[Source]) -> list[str]:
    found = []
    for source in sources:
        # In eval.report the name is the package dozero.eval, in model.eval() it is a method: neither is the built-in.
        owners = {id(node.value) for node in ast.walk(source.tree) if isinstance(node, ast.Attribute)}
        for node in ast.walk(source.tree):
            use = banned_use(node)
            if use and not (id(node) in owners and use in ("eval", "exec")):
                found.append(f"{source.at(getattr(node, 'lineno', 1))}: uses {use}, allowed 0 uses")
    return found


def find_import_effects(sources: list[Source]) -> list[str]:
    """A call that stands alone at module level is there for its effect; the command line registers its verbs so."""
    return [
        f"{source.at(node.lineno)}: calls {dotted(node.value)} while being imported, allowed 0 effects"
        for source in sources
        if layer(source.module) not in ("cli", "__main__")
        for node in source.tree.body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]


# --- src/dozero keeps every budget -------------------------------------------------------------------------------

Budget = Callable[[list[Source]], list[str]]
BUDGETS: list[Budget] = [measure for name, measure in list(globals().items()) if name.startswith("find_")]


@pytest.mark.parametrize("find", BUDGETS, ids=lambda find: find.__name__)
def test_source_keeps_budget(find):
    sources = read_sources(PACKAGE)
    assert sources, f"no Python files in {PACKAGE}"
    violations = find(sources)
    assert not violations, "\n" + "\n".join(violations)


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_silencers_outside_the_package_are_justified_too(folder):
    violations = find_naked_silencers(read_sources(ROOT / folder))
    assert not violations, "\n" + "\n".join(violations)


def test_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_tests_have_no_network():
    with pytest.raises(pytest.fail.Exception, match="reached for the network"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


# --- starting is cheap and without effects -----------------------------------------------------------------------


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh interpreter that coverage does not slow down."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    environment["PYTHONPATH"] = str(ROOT / "src")
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=60)


def modules_loaded_by(*arguments: str) -> set[str]:
    process = run_python("-X", "importtime", *arguments)
    lines = process.stderr.splitlines()
    assert process.returncode == 0, lines[-1]
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


def test_importing_dozero_loads_neither_torch_nor_numpy():
    loaded = modules_loaded_by("-c", "import dozero")
    assert "dozero" in loaded
    assert not loaded & {"torch", "numpy", "pydantic", "typer"}


def test_help_loads_neither_torch_nor_pydantic():
    loaded = modules_loaded_by("-m", "dozero", "--help")
    assert "dozero.cli.main" in loaded
    assert not loaded & {"torch", "numpy", "pydantic"}


def test_help_is_quick():
    """Counted in CPU seconds, which the tests that run beside this one do not lengthen."""
    best_s = MAX_HELP_S + 1
    for _ in range(5):
        if best_s > MAX_HELP_S:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            process = run_python("-m", "dozero", "--help")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            best_s = min(best_s, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
            assert process.returncode == 0, process.stderr
    assert best_s <= MAX_HELP_S, f"src/dozero/cli/main.py:1: --help took {best_s:.2f} s, allowed {MAX_HELP_S} s"


# --- every measure bites -----------------------------------------------------------------------------------------


def plant(folder: Path, files: dict[str, str]) -> list[Source]:
    """Write a package into folder/src/dozero (names that begin with tests/ beside it) and read it back."""
    for name, text in files.items():
        path = folder / name if name.startswith("tests/") else folder / "src" / "dozero" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_sources(folder / "src" / "dozero")


LINE = "x = 1\n"
DEEP = "def f():\n for a in b:\n  if a:\n   while a:\n    try:\n     with a: pass\n    finally: pass\n"
VIOLATIONS: list[tuple[Budget, dict[str, str], str]] = [
    (find_import_cycles, {"rag/a.py": "from dozero.rag import b", "rag/b.py": "import dozero.rag.a"}, "rag/b.py:1"),
    (find_import_cycles, {"rag/a.py": "def f():\n import dozero.rag.b", "rag/b.py": "import dozero.rag.a"}, "a.py:2"),
    (find_import_cycles, {"rag/a.py": "from dozero.rag import B", "rag/__init__.py": "import dozero.rag.a"}, "rag -> "),
    (find_imports_against_the_order, {"model/a.py": "from dozero.train import b", "train/b.py": ""}, "model/a.py:1"),
    (find_imports_against_the_order, {"config.py": "def f():\n from dozero import cli", "cli/__init__.py": ""}, "py:2"),
    (find_imports_against_the_order, {"config.py": "import_module('dozero.cli')", "cli/__init__.py": ""}, "dozero.cli"),
    (find_imports_against_the_order, {"config.py": "from dozero import testing", "testing.py": ""}, "dozero.testing"),
    (find_imports_against_the_order, {"__init__.py": "", "rag/a.py": "from dozero import Model"}, "top of the package"),
    (find_imports_against_the_order, {"rag/a.py": "from . import b", "rag/b.py": ""}, "rag/a.py:1: relative import"),
    (find_imports_against_the_order, {"novelty/a.py": ""}, "novelty has no place in ORDER"),
    (find_long_files, {"a.py": LINE * 501}, "src/dozero/a.py:501: file has 501 lines, allowed 500"),
    (find_long_files, {"model/transformer.py": LINE * 251}, "251 lines, allowed 250"),
    (find_long_functions, {"a.py": "\ndef f():\n" + f"    {LINE}" * 60}, "a.py:2: f has 61 lines, allowed 60"),
    (find_deep_nesting, {"a.py": DEEP}, "a.py:6: f nests 5 deep, allowed 4"),
    (find_missing_annotations, {"a.py": "def f(a: int, *b: int, c=1) -> None: ..."}, "a.py:1: f does not annotate c"),
    (find_missing_annotations, {"a.py": "class A:\n def f(self): ..."}, "a.py:2: f does not annotate return"),
    (find_missing_docstrings, {"a.py": "x = 1"}, "a.py:1: dozero.a has no docstring"),
    (find_missing_docstrings, {"a.py": '"A."\nclass A:\n "A."\n def f(self): ...'}, "a.py:4: f has no docstring"),
    (find_naked_silencers, {"a.py": "x = 1  # noqa"}, "a.py:1"),
    (find_naked_silencers, {"a.py": "x = 1\ny = 1  # noqa: E731"}, "a.py:2"),
    (find_naked_silencers, {"a.py": "x = 1  # type: ignore - a reason but no rule"}, "a.py:1"),
    (find_naked_silencers, {"a.py": "x = 1  # pyright: ignore[reportFoo] - why  # noqa: E731"}, "a.py:1"),
    (find_naked_silencers, {"a.py": "x = 1  # pragma: no cover"}, "a.py:1"),
    (find_vague_names, {"train/utils.py": ""}, "train/utils.py:1: vague name utils"),
    (find_vague_names, {"a.py": "def _process_batch(): ..."}, "a.py:1: vague name _process_batch"),
    (find_missing_mirrors, {"rag/a.py": LINE}, "src/dozero/rag/a.py:1: no tests in tests/rag/test_a.py"),
    (find_missing_mirrors, {"rag/__init__.py": LINE}, "tests/rag/test_init.py"),
    (find_missing_mirrors, {"a.py": LINE, "tests/test_a.py": "import dozero.a"}, "tests/test_a.py"),
    *(
        (find_banned_uses, {"a.py": f"\n{code}"}, "src/dozero/a.py:2: uses")
        for code in (
            *("import pickle", "from joblib import dump", "torch.load(f)", "from torch import save"),
            *("torch.jit.load(f)", "eval('1')", "map(exec, codes)", "builtins.eval('1')", "frame.to_pickle(f)"),
            *("np.load(f, allow_pickle=True)", "np.load(f, allow_pickle=flag)", "path = 'model.pkl'"),
        )
    ),
    (find_import_effects, {"train/a.py": "import torch\ntorch.manual_seed(0)"}, "a.py:2: calls torch.manual_seed"),
]


@pytest.mark.parametrize(("find", "files", "message"), VIOLATIONS)
def test_planted_violation_is_found(find, files, message, tmp_path):
    assert any(message in violation for violation in find(plant(tmp_path, files)))


def test_every_budget_has_a_planted_violation():
    assert {find for find, _, _ in VIOLATIONS} == set(BUDGETS)


LAWFUL = {
    "__init__.py": '"Top."\ndef __getattr__(name: str) -> object:\n return import_module("dozero.cli.main")\n',
    "__main__.py": '"Runs."\nfrom dozero.cli.main import main\nmain()\n',
    "errors.py": '"Errors."\n__all__ = []\n',
    "eval/__init__.py": "",
    "eval/report.py": '"Reports."\nfrom dozero.errors import *\nfrom dozero import __version__\n',
    "cli/main.py": '''"Verbs."
import numpy as np
from dozero import eval
from dozero.eval import report
app.command()(report)


def main(self, *, path: str = "a.pt") -> None:
    """Run model.eval() and eval.report, neither of which is the built-in; elif is not nesting."""
    if path:
        model.eval()
    elif path == 1:
        eval.report(np.load(path), np.load(path, allow_pickle=False))
    elif path == 2: pass
    elif path == 3: pass
    elif path == 4:
        text = "x  # noqa"  # noqa: E731 - a silencer with its rule and its reason

    @override
    def forward(cls, x: "B T") -> None: ...
''',
    "tests/cli/test_main.py": "def test_main(): ...",
    "tests/test_init.py": "def test_names(): ...",
}


@pytest.mark.parametrize("find", BUDGETS, ids=lambda find: find.__name__)
def test_lawful_source_is_not_accused(find, tmp_path):
    assert find(plant(tmp_path, LAWFUL)) == []
