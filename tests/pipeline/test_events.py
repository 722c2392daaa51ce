"""What the stages before training tell can be told without torch: their commands need none."""

import subprocess
import sys


def test_data_is_curated_without_importing_torch(tmp_path):
    (tmp_path / "a.txt").write_text("Era uma vez um gato que não sabia ler. " * 40, encoding="utf-8")
    program = (
        "import sys; from dozero.cli.main import app; sys.argv = ['dozero', *sys.argv[1:]]\n"
        "try: app()\nexcept SystemExit as end: sys.exit(end.code or 3 * ('torch' in sys.modules))"
    )
    curate = [
        sys.executable,
        "-c",
        program,
        "curate",
        "a.txt",
        "--licence",
        "CC0-1.0",
        "--out",
        "c",
        "curate.filters=[]",
    ]
    done = subprocess.run(curate, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
