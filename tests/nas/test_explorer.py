"""The explorer's page holds the archive's figures, runs nothing that it is given, and works in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from nas.report.explorer.page import as_json, explorer_page
from nas.report.explorer.records import gene_labels, run_records
from nas.report.front_rows import query_run
from nas.run.run_directory import RunDirectory
from search.archive.query import Query
from supernet.space.search_space import load_space
from tests.nas.tiny_run import exit_code, finished_run, refusal

BROWSER = shutil.which("chromium")
CHECKED = """
<script>
window.onerror = (said) => { document.title = `error: ${said}`; };
addEventListener("load", () => setTimeout(() => {
  const said = () => document.getElementById("count").textContent;
  const slider = document.querySelector(".slider input"), before = said();
  slider.value = 0;
  slider.dispatchEvent(new Event("input"));
  const within = said();
  document.getElementById("reset").click();
  document.getElementById("scatter").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  const commands = [...document.querySelectorAll(".command code")].map((one) => one.textContent);
  const drawn = document.querySelectorAll("#member svg").length;
  document.title = JSON.stringify({ before, within, after: said(), commands, drawn });
}));
</script>
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


def seen(page: str, folder: Path) -> Any:
    """What a page that CHECKED stands in says of itself in Chromium."""
    path = folder / "page.html"
    path.write_text(page.replace("<script>", CHECKED + "<script>", 1), encoding="utf-8")
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    title = done.stdout.split("<title>")[1].split("</title>")[0]
    return json.loads(title.replace("&amp;", "&"))


@pytest.mark.arm
def test_figures_are_those_of_the_archive(finished: Path) -> None:
    run = RunDirectory.open(finished)
    record = json.loads(as_json(run_records(run)))
    rows = query_run(run, Query(is_front_only=False)).table()
    assert record["archs"]["id"] == [row["id"] for row in rows]
    own = record["costs"][record["device"]]
    for name in ("latency_ms", "flash_kb", "ram_kb", "energy_mj"):
        assert own[name] == [row[name] for row in rows]
    assert record["archs"]["error"] == [row["mae_bpm"] for row in rows]
    assert record["chosen"] in record["layers"]
    assert record["test"]["estimators"]["int8 subnet"]["people"] and record["test"]["traces"]


@pytest.mark.arm
def test_a_run_writes_its_page_and_the_command_another(finished: Path, capsys: Any, tmp_path: Path) -> None:
    run = finished
    assert (run / "explorer.html").stat().st_size > 20_000
    assert exit_code("explore", run, "--no-open", "--out", tmp_path / "page.html") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'page.html'}\n"
    assert (tmp_path / "page.html").read_text().count("<script") == 2
    assert "not a run directory" in refusal(capsys, "explore", tmp_path / "nothing", "--no-open")


@pytest.mark.arm
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_sliders_keys_and_commands_work_in_a_browser(finished: Path, tmp_path: Path) -> None:
    record = run_records(RunDirectory.open(finished))
    found = seen(explorer_page([record, record]), tmp_path)
    assert found["before"] == found["after"] != found["within"]
    assert any(line.startswith("ppg-nas export") for line in found["commands"])
    assert found["drawn"] == 1


@pytest.mark.arm
def test_a_served_page_tells_news_once(finished: Path) -> None:
    from http.server import ThreadingHTTPServer

    from nas.report.explorer.server import News, handler_of

    run = RunDirectory.open(finished)
    news = News(lambda: [run_records(run)], [run.path])
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_of(news)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        with urllib.request.urlopen(f"{base}/records") as answer:
            content = json.load(answer)
        assert content["runs"][0]["name"] == run.config.name
        with urllib.request.urlopen(f"{base}/records?{content['state']}") as answer:
            assert answer.status == 204
        server.shutdown()


def test_nothing_that_it_is_given_ends_its_script() -> None:
    text = as_json({"name": "</script><script>alert(1)</script>", "value": float("nan")})
    assert "<" not in text and json.loads(text)["value"] is None


def test_genes_have_names_and_values() -> None:
    space = load_space("demo")
    labels = gene_labels(space)
    assert len(labels) == space.gene_count
    assert all(len(label["values"]) > high for label, high in zip(labels, space.highs.tolist(), strict=True))
