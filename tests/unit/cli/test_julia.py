"""``pbpk-hybrid julia`` says what is there, and downloads nothing that was not agreed to."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from pbpk_hybrid.cli.app import app


def test_status_is_json_and_says_whether_and_why():
    result = CliRunner().invoke(app, ["julia", "status"])
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert isinstance(facts["ready"], bool) and facts["reason"]


def test_setup_installs_nothing_without_consent(monkeypatch):
    import pbpk_hybrid.solvers.julia.setup as module

    asked = []
    monkeypatch.setattr(
        module, "setup", lambda confirm, say: asked.append(confirm("the plan")) or asked[-1]
    )
    result = CliRunner().invoke(app, ["julia", "setup"], input="n\n")
    assert asked == [False]
    assert "the plan" in result.stdout and "nothing was installed" in result.stdout
