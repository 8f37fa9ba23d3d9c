"""Who is here. With ``[auth]`` in .streamlit/secrets.toml people sign in (OIDC); without it they type a name, shown as self-declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from distill.errors import HeirloomError
from pages.ui import state
from pages.ui.text import escaped, one_line

Role = Literal["reader", "engineer", "reviewer", "approver"]
ROLES: tuple[Role, ...] = ("reader", "engineer", "reviewer", "approver")
ASK = "Ask whoever runs this installation to add you under [roles] in its secrets."
_NAME = "person"
_FIELD = "person_name"  # key of the badge's field


class RoleError(HeirloomError):
    """Who is here may not do this."""


@dataclass(frozen=True)
class Person:
    """Who acts.

    Attributes:
        name: as shown in logs and decisions; empty while nobody has given one.
        declared: True for a name that was typed and that nobody vouches for.
        roles: what this person may do.
    """

    name: str
    declared: bool
    roles: frozenset[Role]

    @property
    def signature(self) -> str:
        """The name as it goes into records."""
        return f"{self.name} (self-declared)" if self.declared else self.name


def sign_in_configured() -> bool:
    """True when the secrets carry an ``[auth]`` section."""
    return "auth" in _secrets()


def current() -> Person:
    """The person of this session."""
    if not sign_in_configured():
        return Person(state.get(_NAME, ""), True, frozenset(ROLES))
    if not st.user.get("is_logged_in", False):
        return Person("", False, frozenset())
    email = str(st.user.get("email") or st.user.get("sub") or "")
    return Person(email or str(st.user.get("name") or "unknown"), False, _roles_of(email))


def may(*roles: Role) -> bool:
    """Whether the person of this session has one of ``roles``: what a page offers goes by it."""
    return bool(current().roles & set(roles))


def need(*roles: Role) -> None:
    """The guard before everything that writes, starts something or opens a file of this machine, whatever was drawn.

    Raises:
        RoleError: the person of this session has none of ``roles``.
    """
    if not may(*roles):
        raise RoleError(f"This needs {in_words(*roles)}.", hint=ASK)


def in_words(*roles: Role) -> str:
    """Such as "the role 'engineer' or 'reviewer'"."""
    return "the role " + " or ".join(f"'{role}'" for role in roles)


def name_or_ask(why: str, key: str) -> str:
    """The person's name for a record; asks for one on the page, and is empty, while there is none."""
    person = current()
    if person.name:
        return person.signature

    def keep() -> None:
        # both: the badge's own field would otherwise still be empty, and take the name back
        name = one_line(str(state.widget(key) or "").strip(), 80)
        state.put(_NAME, name)
        state.set_widget(_FIELD, name)

    st.text_input(
        "Your name", key=key, placeholder="Name as it shall stand in the record", help=escaped(why), on_change=keep
    )
    return ""


def draw_badge() -> None:
    """Who is here, at the foot of the sidebar; a place to type the name or to sign out."""
    person = current()
    if not person.declared:
        st.caption(f"Signed in as {escaped(person.name)}")
        st.button("Sign out", on_click=st.logout, key="sign_out", type="tertiary", icon=":material/logout:")
        return
    label = f"{escaped(person.name, 24)} · self-declared" if person.name else "Who are you?"
    with st.popover(label, icon=":material/person:", width="stretch"):
        st.caption(
            "Your name stands beside runs you start and labels you decide. Nobody checks it, so it reads 'self-declared'."
        )
        if state.widget(_FIELD) is None:
            state.set_widget(_FIELD, person.name)
        typed = st.text_input("Your name", max_chars=80, key=_FIELD)
        if typed is not None and one_line(typed.strip(), 80) != person.name:
            state.put(_NAME, one_line(typed.strip(), 80))
            st.rerun()


def draw_sign_in() -> None:
    """What a person sees who must sign in first."""
    st.title("Heirloom")
    st.write("Sign in to see this installation's runs.")
    st.button("Sign in", on_click=st.login, type="primary", icon=":material/login:", key="sign_in")


def _roles_of(email: str) -> frozenset[Role]:
    """Roles from ``[roles]`` in the secrets (role = list of e-mails); without that table everybody who signed in has all."""
    table = _secrets().get("roles")
    if table is None:
        return frozenset(ROLES)
    return frozenset({"reader", *(role for role in ROLES if email in list(table.get(role, [])))})


def _secrets() -> dict[str, Any]:
    try:
        return dict(st.secrets)
    except FileNotFoundError:
        return {}
