"""The documentation: the same in both languages, its code runs, its quotations are verbatim, its links resolve.

How a page says where a block comes from, so that a machine can compare:

    python            executed, all blocks of a page as one session in an empty folder
    toml              parsed; one whose first line is `# run.toml` must be a valid run file
    bash              every `dozero` verb and option, and every `make` target, must exist
    text              stands under <!-- output: COMMAND --> (run and compared if the command is a --help)
    anything          under <!-- source: PATH -->, PATH from the root of the repository: verbatim part of that file

Each check takes the root of a repository and returns its violations, and is itself tested on a planted one.
"""

import re
import shlex
import subprocess
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from dozero.cli.main import VERBS

ROOT = Path(__file__).resolve().parent.parent
BILINGUAL_FOLDERS = ("docs", "src/dozero/learn")  # each with en/ and pt/ inside
SAME_IN_BOTH_LANGUAGES = ("bash", "python", "toml")
PLAIN_COMMANDS = {"cat", "cd", "curl", "git", "ls", "mkdir", "pip", "pytest", "python", "python3", "ruff", "source"}
FENCE = re.compile(r"^(?P<indent> *)(?P<marks>`{3,}|~{3,}) *(?P<tag>[\w+-]*)")
HEADING = re.compile(r"^(#{1,6}) +(.+?)[ #]*$")
ORIGIN = re.compile(r"^ *<!-- (output|source): (.+?) -->$")
LINK = re.compile(r"\]\(<?([^)\s>]+)|^\[[^\]]+\]: *(\S+)|(?:src|href)=\"([^\"]+)\"")
MACHINE_PATH = re.compile(r"(?<![\w./~$}-])/(?:(?:work|root)(?![\w-])|(?:home|Users)/)")
REGISTRY = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|yarnpkg\.com|download\.pytorch\.org|deb\.debian\.org"
    r"|anaconda\.org|proxy\.golang\.org)|(?:index-url|find-links|registry)\W{1,4}https?:"
)
# In .gitignore a leading slash means the root of the repository; this file spells what it looks for.
UNSEARCHED = {".gitignore", "tests/test_docs.py"}


@dataclass(frozen=True)
class Block:
    """One fenced block; `kind` and `origin` are those of the comment above it, if there is one."""

    tag: str
    code: str
    line: int
    kind: str = ""
    origin: str = ""

    @property
    def code_without_comments(self) -> list[str]:
        lines = (re.sub(r"(^|\s+)#(\s.*)?$", "", line).rstrip() for line in self.code.splitlines())
        return [line for line in lines if line]


@dataclass
class Page:
    """One Markdown file, taken apart; `name` is its path from the root."""

    path: Path
    name: str
    headings: list[tuple[int, str]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    links: list[tuple[str, int]] = field(default_factory=list)

    @property
    def anchors(self) -> set[str]:
        titles = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for _, title in self.headings]
        return {
            title + (f"-{titles[:i].count(title)}" if title in titles[:i] else "") for i, title in enumerate(titles)
        }


def read_page(path: Path, root: Path) -> Page:
    page, above = Page(path, path.relative_to(root).as_posix()), ""
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    for number, line in lines:
        if fence := FENCE.match(line):
            inside = []
            for _, body in lines:
                if body.strip().startswith(fence["marks"]):
                    break
                inside.append(body.removeprefix(fence["indent"]))
            origin = ORIGIN.match(above)
            kind_and_origin = origin.groups() if origin else ("", "")
            page.blocks.append(Block(fence["tag"], "\n".join(inside), number, *kind_and_origin))
        elif heading := HEADING.match(line):
            page.headings.append((len(heading[1]), re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading[2])))
        page.links += [(next(filter(None, m)), number) for m in LINK.findall(re.sub(r"`[^`]*`", "", line))]
        above = line if line.strip() else above
    return page


def pages_of(root: Path) -> list[Page]:
    paths = [*root.glob("*.md"), *(p for folder in BILINGUAL_FOLDERS for p in (root / folder).rglob("*.md"))]
    return [read_page(path, root) for path in sorted(paths)]


def twins_of(root: Path) -> list[tuple[Path, Path]]:
    """Return the English and the Portuguese path of every page that must exist in both languages."""
    pairs = {(root / "README.md", root / "README.pt-BR.md")}
    for folder in BILINGUAL_FOLDERS:
        english, portuguese = root / folder / "en", root / folder / "pt"
        inside = {p.relative_to(home) for home in (english, portuguese) for p in home.rglob("*.md")}
        pairs |= {(english / name, portuguese / name) for name in inside}
    return sorted(pairs)


def read_twins(root: Path) -> Iterator[tuple[Page, Page]]:
    for english, portuguese in twins_of(root):
        if english.exists() and portuguese.exists():
            yield read_page(english, root), read_page(portuguese, root)


# --- the same in both languages ----------------------------------------------------------------------------------


def find_missing_twins(root: Path) -> list[str]:
    paths = [path for pair in twins_of(root) for path in pair]
    return [f"{path.relative_to(root).as_posix()}:1: no such page" for path in paths if not path.exists()]


def find_different_headings(root: Path) -> list[str]:
    levels = [(en, pt, [n for n, _ in en.headings], [n for n, _ in pt.headings]) for en, pt in read_twins(root)]
    return [f"{pt.name}:1: heading levels {b}, in {en.name} {a}" for en, pt, a, b in levels if a != b]


def find_different_code(root: Path) -> list[str]:
    found = []
    for en, pt in read_twins(root):
        tags = [block.tag for block in en.blocks], [block.tag for block in pt.blocks]
        if tags[0] != tags[1]:
            found.append(f"{pt.name}:1: blocks {tags[1]}, in {en.name} {tags[0]}")
            continue
        for a, b in zip(en.blocks, pt.blocks, strict=True):
            if a.tag in SAME_IN_BOTH_LANGUAGES and a.code_without_comments != b.code_without_comments:
                found.append(f"{pt.name}:{b.line}: code differs from {en.name}:{a.line}")
    return found


# --- nothing in a block goes unchecked ---------------------------------------------------------------------------


def blocks_of(root: Path) -> Iterator[tuple[str, Block]]:
    return ((f"{page.name}:{block.line}", block) for page in pages_of(root) for block in page.blocks)


def find_unchecked_blocks(root: Path) -> list[str]:
    return [
        f"{where}: a block of tag {block.tag!r} that is neither executed nor quoted (see the top of tests/test_docs.py)"
        for where, block in blocks_of(root)
        if not block.kind and block.tag not in SAME_IN_BOTH_LANGUAGES
    ]


def is_part_of(code: str, text: str) -> bool:
    return any(textwrap.indent(code, " " * indent) in text for indent in (0, 4, 8))


def find_false_quotations(root: Path) -> list[str]:
    quotations = [(where, block, root / block.origin) for where, block in blocks_of(root) if block.kind == "source"]
    return [
        f"{where}: not a verbatim part of {block.origin}"
        for where, block, path in quotations
        if not path.is_file() or not is_part_of(block.code, path.read_text(encoding="utf-8"))
    ]


def fault_of_toml(code: str, folder: Path) -> str | None:
    try:
        tomllib.loads(code)
    except tomllib.TOMLDecodeError as error:
        return str(error)
    if not code.startswith("# run.toml"):
        return None
    from dozero.config import load_config
    from dozero.errors import ConfigError

    path = folder / "run.toml"
    path.write_text(code, encoding="utf-8")
    try:
        load_config(path)
    except ConfigError as error:
        return str(error)
    return None


def find_invalid_toml(root: Path, folder: Path) -> list[str]:
    blocks = [(where, block) for where, block in blocks_of(root) if block.tag == "toml" and not block.kind]
    faults = ((where, fault_of_toml(block.code, folder)) for where, block in blocks)
    return [f"{where}: {fault}" for where, fault in faults if fault]


# --- commands ----------------------------------------------------------------------------------------------------

HelpOf = Callable[..., str | None]  # the words after `dozero` -> what --help prints, or None if it fails


def commands_of(code: str) -> list[list[str]]:
    """Return the simple commands of a shell script, without comments, redirections' signs and VARIABLE=value."""
    commands: list[list[str]] = []
    for line in code.replace("\\\n", " ").splitlines():
        commands.append([])
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for word in lexer:
            if set(word) <= set(";&|"):
                commands.append([])
            elif commands[-1] or not re.match(r"\w+=", word):
                commands[-1].append(word)
    return [command for command in commands if command]


def missing_option(words: list[str], page: str) -> str | None:
    """Return the first of the words that is an option which the page does not name."""
    options = (word.partition("=")[0] for word in words if re.match(r"-{1,2}[a-zA-Z]", word))
    return next((o for o in options if not re.search(rf"(?<![\w-]){re.escape(o)}(?![\w-])", page)), None)


def fault_of_dozero(arguments: list[str], help_of: HelpOf) -> str | None:
    """Return what is wrong with the words after `dozero`: global options, a verb, perhaps a second one, its options."""
    names = [word for word in arguments if not word.startswith("-")]
    verb, below = " ".join(names[:1]), None
    start = arguments.index(verb) if verb else len(arguments)
    page = help_of(*names[:1])
    if page is None:
        return f"dozero has no verb {verb}"
    if len(names) > 1 and ("COMMAND" in page or missing_option(arguments[start:], page)):
        below = help_of(*names[:2])
        if below is None:
            return f"dozero {verb} has no verb {names[1]}"
    after = missing_option(arguments[start:], f"{page}\n{below or ''}")
    unknown = after or missing_option(arguments[:start], help_of() or "")
    return f"dozero {verb} has no option {unknown}" if unknown else None


def make_targets(root: Path) -> list[str]:
    makefile = root / "Makefile"
    return re.findall(r"^([a-z]\w*):", makefile.read_text(encoding="utf-8"), re.MULTILINE) if makefile.exists() else []


def fault_of_command(command: list[str], root: Path, help_of: HelpOf) -> str | None:
    program = command[0].rpartition("/")[2]
    if program == "dozero" or ("-m", "dozero") in pairwise(command):
        return fault_of_dozero(command[1 if program == "dozero" else command.index("dozero") + 1 :], help_of)
    if program == "make":
        unknown = [word for word in command[1:] if "=" not in word and word not in make_targets(root)]
        return f"make has no target {unknown[0]}" if unknown else None
    return None if program in PLAIN_COMMANDS else f"no machine checks {command[0]!r}; see PLAIN_COMMANDS"


def find_wrong_commands(root: Path, help_of: HelpOf) -> list[str]:
    found = []
    for where, block in blocks_of(root):
        is_script = block.tag == "bash" and not block.kind
        script = block.origin if block.kind == "output" else block.code if is_script else ""
        faults = (fault_of_command(command, root, help_of) for command in commands_of(script))
        found += [f"{where}: {fault}" for fault in faults if fault]
    return found


def find_stale_help(root: Path, help_of: HelpOf) -> list[str]:
    helps = [(w, b, b.origin.split()) for w, b in blocks_of(root) if b.kind == "output" and b.origin.endswith("--help")]
    texts = ((where, block, help_of(*words[1:-1], columns=100) or "") for where, block, words in helps)
    return [
        f"{where}: not what {block.origin} prints at COLUMNS=100"
        for where, block, text in texts
        if lines_of(text) != lines_of(block.code)
    ]


def lines_of(text: str) -> list[str]:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n").splitlines()


# --- links, paths, hosts -----------------------------------------------------------------------------------------


def fault_of_link(target: str, page: Page, root: Path) -> str | None:
    if re.match(r"[a-z]+:", target):
        return None
    name, _, anchor = target.partition("#")
    path = (page.path.parent / name).resolve() if name else page.path
    if not path.exists() or not path.is_relative_to(root.resolve()):
        return f"link to {target}, which does not exist"
    if anchor and path.suffix == ".md" and anchor not in read_page(path, path.parent).anchors:
        return f"link to {target}, but {path.name} has no such heading"
    return None


def find_broken_links(root: Path) -> list[str]:
    links = [(page, target, line) for page in pages_of(root) for target, line in page.links]
    faults = ((f"{page.name}:{line}", fault_of_link(target, page, root)) for page, target, line in links)
    return [f"{where}: {fault}" for where, fault in faults if fault]


def text_files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of every file that git tracks or would track, or of all files where there is no git."""
    paths = set(root.rglob("*"))
    if (root / ".git").exists():
        listing = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listing, capture_output=True, encoding="utf-8", check=True).stdout.split("\0")
        paths = {root / name for name in names if name}
    for path in sorted(path for path in paths if path.is_file()):
        data, name = path.read_bytes(), path.relative_to(root).as_posix()
        if b"\0" not in data and name not in UNSEARCHED:
            yield name, data.decode("utf-8", errors="replace")


def find_in_text_files(pattern: re.Pattern[str], root: Path, what: str) -> list[str]:
    return [
        f"{name}:{number}: {what} {match.group()!r}, allowed 0"
        for name, text in text_files(root)
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := pattern.search(line))
    ]


def find_machine_paths(root: Path) -> list[str]:
    return find_in_text_files(MACHINE_PATH, root, "a path of one machine")


def find_registry_hosts(root: Path) -> list[str]:
    return find_in_text_files(REGISTRY, root, "a registry's host")


# --- this repository ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def help_of(run_dozero):
    pages: dict[tuple[object, ...], str | None] = {}

    def read_help(*words, columns=200):
        if (*words, columns) not in pages:
            process = run_dozero(*words, "--help", env={"COLUMNS": str(columns)})
            said = process.stdout.replace("python -m dozero", "dozero")  # how Typer names a program run as a module
            pages[*words, columns] = None if process.returncode else said
        return pages[*words, columns]

    return read_help


def run_python_blocks(page: Page) -> None:
    """Run the blocks as one session; tracebacks name the page and its lines."""
    session = {"__name__": "__main__"}
    for block in page.blocks:
        if block.tag == "python" and not block.kind:
            exec(compile("\n" * block.line + block.code, page.path, "exec"), session)


ENGLISH = [path for path, _ in twins_of(ROOT) if path.exists()]  # the Portuguese pages hold the same code


@pytest.mark.parametrize("path", ENGLISH, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_python_of_page_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_python_blocks(read_page(path, ROOT))


CHECKS = [check for name, check in list(globals().items()) if name.startswith("find_") and name != "find_in_text_files"]


def violations_of(check, root, folder, help_of):
    extra = {find_invalid_toml: folder, find_wrong_commands: help_of, find_stale_help: help_of}
    return check(root, extra[check]) if check in extra else check(root)


@pytest.mark.parametrize("lang", ["en", "pt"])
def test_the_page_of_commands_has_every_verb(lang):
    headings = read_page(ROOT / "docs" / lang / "commands.md", ROOT).headings
    assert [title for _, title in headings[2:]] == [f"dozero {verb}" for verb in VERBS]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_documentation_passes(check, tmp_path, help_of):
    violations = violations_of(check, ROOT, tmp_path, help_of)
    assert not violations, "\n" + "\n".join(violations)


# --- every check bites -------------------------------------------------------------------------------------------


def plant(root: Path, files: dict[str, str]) -> Path:
    files = {"README.md": "", "README.pt-BR.md": "", "Makefile": "hello: x\n"} | files
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def planted_help(*words, columns=200):
    pages = {
        "": "Usage: dozero COMMAND --json",
        "run": "Usage: dozero run --dry-run --help",
        "log": "Usage: log COMMAND",
    }
    return (pages | {"log show": "--all"}).get(" ".join(words))


def block(tag, code, above=""):
    return {"README.md": f"{above}\n```{tag}\n{code}\n```\n"}


SHARED = "/".join(("", "work", "x"))
VIOLATIONS = [
    (find_missing_twins, {"docs/en/a.md": ""}, "docs/pt/a.md:1: no such page"),
    (
        find_different_headings,
        {"README.md": "# A\n## B", "README.pt-BR.md": "# A\n### B"},
        "[1, 3], in README.md [1, 2]",
    ),
    (find_different_code, block("bash", "make"), "README.pt-BR.md:1: blocks [], in README.md ['bash']"),
    (
        find_different_code,
        block("toml", "a = 1") | {"README.pt-BR.md": "```toml\na = 2\n```"},
        "README.pt-BR.md:1: code",
    ),
    (find_unchecked_blocks, block("text", "loss 1.0"), "README.md:2: a block of tag 'text'"),
    (find_unchecked_blocks, block("json", "{}"), "tag 'json'"),
    (find_false_quotations, block("python", "x = 2", "<!-- source: a.py -->") | {"a.py": "x = 1\n"}, "part of a.py"),
    (find_invalid_toml, block("toml", "a = "), "README.md:2"),
    (find_invalid_toml, block("toml", "# run.toml\nsead = 1"), "sead"),
    (find_wrong_commands, block("bash", "dozero ruin"), "dozero has no verb ruin"),
    (find_wrong_commands, block("bash", "cd a && dozero run \\\n  --dry"), "dozero run has no option --dry"),
    (find_wrong_commands, block("bash", "python -m dozero log shove"), "dozero log has no verb shove"),
    (find_wrong_commands, block("bash", "make hell"), "make has no target hell"),
    (find_wrong_commands, block("bash", "$ make hello"), "no machine checks '$'"),
    (find_wrong_commands, block("text", "...", "<!-- output: dozero ruin -->"), "no verb ruin"),
    (find_stale_help, block("text", "Usage: old", "<!-- output: dozero run --help -->"), "not what dozero run --help"),
    (find_broken_links, {"README.md": "\n[a](docs/a.md)"}, "README.md:2: link to docs/a.md"),
    (find_broken_links, {"README.md": "# A b\n[a](#a-c)"}, "no such heading"),
    (find_broken_links, {"README.md": '<img src="a.png">'}, "a.png"),
    (find_machine_paths, {"a.txt": f"\nsee {SHARED}"}, "a.txt:2: a path of one machine"),
    (find_registry_hosts, {"a.txt": "https://pypi.org/simple"}, "a.txt:1: a registry's host"),
]


@pytest.mark.parametrize(("check", "files", "message"), VIOLATIONS)
def test_planted_violation_is_found(check, files, message, tmp_path):
    violations = violations_of(check, plant(tmp_path / "root", files), tmp_path, planted_help)
    assert any(message in violation for violation in violations), violations


def test_every_check_has_a_planted_violation():
    assert {check for check, _, _ in VIOLATIONS} == set(CHECKS)


LAWFUL_PAGE = """# {title} A `b`

[here](#{anchor}-a-b), [there]({twin}), [code](a.py), [web](https://example.org/work/), `[not](a-link)`

```bash
# {title}
JOBS=1 make hello QUICK=1  # {title}
dozero run --dry-run run.toml a.b=-1 && dozero log show --all | cat
.venv/bin/dozero --json run; torchrun --nproc-per-node 2 -m dozero run
```

```python
x = 1
```

1. {title}

   ```toml
   # run.toml
   seed = 3
   ```

<!-- source: a.py -->
```python
if x:
    y = 1
```

<!-- output: dozero run --help -->

```text
Usage: dozero run --dry-run --help
```
"""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_lawful_pages_are_not_accused(check, tmp_path):
    english = LAWFUL_PAGE.format(title="In English", anchor="in-english", twin="README.pt-BR.md")
    portuguese = LAWFUL_PAGE.format(title="Em português", anchor="em-português", twin="README.md#in-english-a-b")
    files = {"README.md": english, "README.pt-BR.md": portuguese, "a.py": "def f():\n    if x:\n        y = 1\n"}
    assert violations_of(check, plant(tmp_path / "root", files), tmp_path, planted_help) == []


def test_python_blocks_of_a_page_are_one_session_and_errors_name_its_lines(tmp_path):
    plant(tmp_path, {"README.md": "```python\nx = 1\n```\n\n```python\nassert x == 1\nassert x == 2\n```\n"})
    with pytest.raises(AssertionError) as failure:
        run_python_blocks(read_page(tmp_path / "README.md", tmp_path))
    assert (failure.traceback[-1].path.name, failure.traceback[-1].lineno + 1) == ("README.md", 7)
