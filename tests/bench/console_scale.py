"""Each page of the console on a system of a million uploads a day (`make up` first).

The system that runs lends its settings, its embedded AWS and its Postgres server, and stays as it
is: the database is one of its own, and `tests.bench.million` answers for AWS. A page runs in a
process of its own. `--before FOLDER` runs the pages of another commit on the same system too::

    git worktree add --detach ../before 8e82661
    .venv/bin/python -m tests.bench.console_scale --before ../before
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

_ROOT = Path(__file__).resolve().parents[2]
_SEEN = 123_456  # whose avatar is looked for
_FIND = "Avatar's name"
_DATABASE = "console_scale"
_LONGEST = 90
_QUICK_MS = 10_000


def main() -> None:
    """Run each page of one or two commits and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="the folder of another commit")
    parser.add_argument("--latency", type=float, default=20, help="milliseconds of each AWS call")
    parser.add_argument("--only", default="", help="pages whose name contains this")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--page", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.page:
        print(json.dumps(_measure(arguments.page)), flush=True)
        os._exit(0)
    trees = [arguments.before.resolve()] if arguments.before else []
    found = [_run_tree(tree, arguments) for tree in [*trees, _ROOT]]
    print(json.dumps(found, indent=1) if arguments.json else _table(found))


def _run_tree(tree: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what each page took with the console of that folder."""
    import psycopg

    from console.operations.environments import deployment, target
    from tests.bench.million import ACTIONS, FILL_AUDIT, Million, serve

    here = deployment.load("local")
    owner = target.resolve("local").database_url()
    ours = urlsplit(owner)._replace(path=f"/{_DATABASE}").geturl()
    settings = deployment.settings_file("local").read_text()
    endpoint = urlsplit(dict(re.findall(r"(?m)^(\w+)=(.*)$", settings))["AWS_ENDPOINT_URL"])
    server = serve(
        Million(
            endpoint.netloc,
            here.uploads_bucket,
            here.assets_bucket,
            here.dead_letter_queue_url.rpartition("/")[2],
            ours,
            arguments.latency / 1000,
        )
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    front = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(owner, autocommit=True) as admin:
        # without its address in them, the settings are of an environment on AWS
        kept = [
            re.sub(r"(?<=QUEUE_URL=)http://[^/]*", front, line)
            for line in settings.splitlines()
            if not line.startswith("AWS_")
        ]
        (Path(folder) / ".env.local").write_text("\n".join(kept) + "\n")
        (Path(folder) / "aws").write_text(f"[default]\nendpoint_url = {front}\n")
        environment = os.environ | {
            "ENV": "local",
            "AVATAR_OPS_ENV_DIR": folder,
            "AVATAR_OPS_STATE": str(target.state_root()),
            "AWS_CONFIG_FILE": f"{folder}/aws",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "PYTHONPATH": str(tree),
        }
        admin.execute(f"DROP DATABASE IF EXISTS {_DATABASE} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {_DATABASE}")
        try:
            ops = [sys.executable, "-m", "console.cli"]
            subprocess.run(
                [*ops, "migrate"],
                check=True,
                cwd=tree,
                env=environment | {"YES": "1"},
                stdout=subprocess.DEVNULL,
            )
            subprocess.run([*ops, "seed"], cwd=tree, env=environment, capture_output=True)
            with psycopg.connect(ours, autocommit=True) as connection:
                connection.execute(FILL_AUDIT, {"actions": ACTIONS, "environment": "local"})
                connection.execute("VACUUM ANALYZE avatar_ops.audit_entries")
            return {
                page: _one(page, tree, environment) for page in _VISITS if arguments.only in page
            }
        finally:
            admin.execute(f"DROP DATABASE {_DATABASE} WITH (FORCE)")
            server.shutdown()


def _one(page: str, tree: Path, environment: dict[str, str]) -> dict[str, Any] | None:
    print(f"{tree.name}: {page}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-P", __file__, "--page", page],  # beside it is another console.py
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=2 * _LONGEST,
    )
    found: dict[str, Any] | None = json.loads(done.stdout.splitlines()[-1])
    return found


def _find(name: str) -> Callable[[Any], None]:
    def search(test: Any) -> None:
        test.session_state["view"] = test.session_state["test avatars view"] = "Find"
        test.run(timeout=_LONGEST)
        next(field for field in test.text_input if field.label == _FIND).set_value(name)

    return search


def _type(key: str, value: str) -> Callable[[Any], None]:
    def search(test: Any) -> None:
        test.run(timeout=_LONGEST)
        test.text_input(key=key).set_value(value)

    return search


def _rejected(test: Any) -> None:
    test.query_params["show"] = "rejected"


def _nothing(_test: Any) -> None:
    pass


_NAME = f"{_SEEN:08x}-0000-4000-8000-000000000000"
_VISITS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "overview": ("overview", _nothing),
    "test avatars": ("test_avatars", _nothing),
    "test avatars, find a user": ("test_avatars", _find(_NAME)),
    "test avatars, find `0`": ("test_avatars", _find("0")),
    "failures": ("failures", _nothing),
    "failures of a user": ("failures", _type("find failures", _NAME)),
    "failures, rejected": ("failures", _rejected),
    "review": ("review", _nothing),
    "profile": ("profile", _nothing),
    "environment": ("environment", _nothing),
    "releases": ("releases", _nothing),
    "migrations": ("migrations", _nothing),
    "CDN": ("cdn", _nothing),
    "costs": ("costs", _nothing),
    "audit": ("audit", _nothing),
    "audit of a user": ("audit", _type("audit target", _NAME)),
    "audit of nobody": ("audit", _type("audit target", "nobody")),
}
"""What is looked at: the page, and what is done there before it is measured."""


def _measure(visit: str) -> dict[str, Any] | None:
    """Run a page in this process; return None where this commit has none."""
    import altair  # noqa: F401 - as the server does before its first page
    import botocore.client
    import pandas  # noqa: F401
    from streamlit.testing.v1 import AppTest

    from console import session

    tree = Path(session.__file__).resolve().parent.parent
    page, prepare = _VISITS[visit]
    if not (tree / f"console/pages/{page}.py").exists():
        return None
    calls: Counter[str] = Counter()
    call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def counted(client: Any, operation: str, parameters: Any) -> Any:
        calls[operation] += 1
        return call(client, operation, parameters)

    botocore.client.BaseClient._make_api_call = counted  # type: ignore[attr-defined]
    # after any page, AppTest knows the others by their addresses; these ask for least
    before = "cdn" if page != "cdn" else "migrations"
    test = AppTest.from_file(str(tree / "console/app.py")).switch_page(f"pages/{before}.py")
    test.run(timeout=_LONGEST)
    test.switch_page(f"pages/{page}.py")
    calls.clear()
    try:
        prepare(test)
    except (KeyError, StopIteration):
        return None
    first, own = _run(test)
    made, peak = Counter(calls), _peak()
    # what is not there in time goes on in a thread, and a page that takes as long is not run again
    again = [_run(test)[0] for _ in range(5)] if first < _QUICK_MS else []
    return {
        "first_ms": round(first),
        "first_own_ms": round(own),
        "rerun_ms": round(median(again)) if again else None,
        "peak_mb": round(peak),
        "calls": dict(made.most_common()),
        "errors": [str(error.value).splitlines()[0] for error in (*test.error, *test.exception)],
    }


def _run(test: Any) -> tuple[float, float]:
    from console import session

    while session.jobs().running():
        time.sleep(0.05)
    started, used = time.perf_counter(), time.process_time()
    with contextlib.suppress(RuntimeError):  # it has timed out
        test.run(timeout=_LONGEST)
    return (time.perf_counter() - started) * 1000, (time.process_time() - used) * 1000


def _peak() -> float:
    """Return the most memory that this process had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _table(found: list[dict[str, Any]]) -> str:
    """Return the figures as Markdown, before and after with an arrow between."""
    lines = [
        "| page | first run, s | rerun, ms | AWS calls | memory, MB |",
        "|---|--:|--:|---|--:|",
    ]
    for page in found[-1]:
        sides = [side[page] for side in found]
        figures = [
            " → ".join(cell(side) if side else "none" for side in sides)
            for cell in (
                lambda side: _seconds(side["first_ms"]),
                lambda side: str(side["rerun_ms"] or "not run"),
                lambda side: _calls(side["calls"]),
                lambda side: str(side["peak_mb"]),
            )
        ]
        lines.append(f"| {page} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _seconds(milliseconds: int) -> str:
    seconds = milliseconds / 1000
    return f"over {_LONGEST}" if seconds >= _LONGEST else f"{seconds:.2f}"


def _calls(made: dict[str, int]) -> str:
    named = ", ".join(f"{number} {name}" for name, number in list(made.items())[:2])
    return f"{sum(made.values()):,} ({named})" if made else "0"


if __name__ == "__main__":
    main()
