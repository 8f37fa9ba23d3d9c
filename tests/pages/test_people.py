from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from pages.ui import people
from pages.ui.people import Person
from tests.fakes import RUN_ID
from tests.pages.driver import ROOT, open_page, said

AUTH = {
    "client_id": "x",
    "client_secret": "y",
    "redirect_uri": "http://localhost:8501/oauth2callback",
    "cookie_secret": "z",
}


@pytest.mark.parametrize("address", ["", "compare", "review"])
def test_with_sign_in_configured_nothing_is_shown_before_it(finished: Path, address: str) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.secrets["auth"] = {**AUTH, "server_metadata_url": "https://idp.invalid/.well-known/openid-configuration"}
    app._page_hash = calc_hash(address)
    app.query_params["run"] = RUN_ID
    app.run()
    assert not app.exception
    assert [button.label for button in app.button] == ["Sign in"]
    assert "airline" not in said(app)


def test_a_role_that_is_missing_closes_the_page(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "current", lambda: Person("ada@example.org", False, frozenset({"reader"})))
    app = open_page("new")
    assert not app.exception
    assert "role 'engineer'" in said(app).replace("\\", "")
    assert "Preset" not in said(app)
    opened = open_page("run", run=RUN_ID)
    assert not [button for button in opened.button if button.label in {"Delete", "Run again", "Cancel"}]


def test_roles_come_from_the_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"auth": AUTH, "roles": {"reviewer": ["ada@example.org"], "engineer": []}}
    monkeypatch.setattr(people, "_secrets", lambda: table)
    assert people._roles_of("ada@example.org") == {"reader", "reviewer"}
    assert people._roles_of("bob@example.org") == {"reader"}
    monkeypatch.setattr(people, "_secrets", lambda: {"auth": AUTH})
    assert people._roles_of("bob@example.org") == set(people.ROLES)
