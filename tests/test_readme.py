"""The README's tables are what the result files say, to the letter."""

import shutil
from pathlib import Path

from nas.cli import main

ROOT = Path(__file__).parent.parent


def test_tables_are_generated_not_typed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "docs" / "results", tmp_path / "docs" / "results")
    assert main(["bench", "readme", "--root", str(tmp_path)]) == 0
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()
