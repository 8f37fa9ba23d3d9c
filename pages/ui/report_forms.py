"""What people say on the page Report: intended use, which rules apply, sign-off. Each becomes an entry of the evidence chain."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import streamlit as st

from auditor.evidence.signoff import STEPS, State, barred, sign_off
from auditor.report.annex import Part, frameworks
from auditor.report.content import ReportContent
from auditor.report.stated import LONGEST, AnnexAnswers, IntendedUse, state
from auditor.review.unfinished import unfinished_sentence
from distill.errors import HeirloomError, ReportError
from distill.store import Run
from pages.ui import cache, page, people
from pages.ui.text import escaped

_FIELDS = {
    "purpose": ("Purpose", "What will it be used for, and by whom?"),
    "people": ("People it is about", "Whose texts does it judge, and who is affected by its answers?"),
    "oversight": ("Oversight", "Who watches it in use, and who can stop it?"),
    "not_for": ("Not for", "What must it not be used for?"),
    "limits": ("Known limits", "Limits beyond what was measured here."),
}
_VERBS: dict[State, tuple[str, str]] = {
    "reviewed": ("Mark as reviewed", ":material/rate_review:"),
    "approved": ("Approve", ":material/verified:"),
    "refused": ("Refuse", ":material/block:"),
    "draft": ("", ""),
}


STATING: tuple[people.Role, ...] = (
    "engineer",
    "reviewer",
    "approver",
)  # a statement reopens a sign-off, so a reader makes none


def intended_use(run: Run, content: ReportContent) -> None:
    """The form for the intended use, filled with what was stated last."""
    said = content.material.use
    before = said.value.model_dump() if said else {}
    if said:
        st.caption(
            f"Stated by {escaped(said.by)} on {said.at[:16].replace('T', ' ')} UTC. A new statement reopens a sign-off."
        )
    else:
        st.caption("Nothing is assumed: what is not stated here stands as 'not stated' in the report.")
    if not people.may(*STATING):
        said_so = [
            f"**{label}**: {escaped(before[name], LONGEST)}" for name, (label, _) in _FIELDS.items() if before.get(name)
        ]
        st.markdown("  \n".join(said_so) or "Nothing is stated yet.")
        st.caption(f"Stating it needs {people.in_words(*STATING)}.")
        return
    by = people.name_or_ask("It stands beside the statement in the evidence chain.", "use_name")
    with st.form(f"use_{run.id}"):
        typed = {
            name: st.text_area(
                label,
                value=before.get(name, ""),
                placeholder=asks,
                max_chars=LONGEST,
                height=88,
                key=f"use_{name}_{run.id}",
            )
            for name, (label, asks) in _FIELDS.items()
        }
        if st.form_submit_button("State it", type="primary", icon=":material/edit_note:"):
            if not (typed["purpose"] or "").strip():
                page.show_error(ReportError("The purpose is empty.", hint="Say what it will be used for."))
                return
            _do(
                lambda: state(cache.workspace(), run, IntendedUse(**{k: v or "" for k, v in typed.items()}), by),
                STATING,
            )


def annex(run: Run, content: ReportContent) -> None:
    """Asks first what applies; then, for what does, what a person can fill in where the product cannot know."""
    said = content.material.annex
    answers = said.value if said else AnnexAnswers()
    book = frameworks()
    st.caption(
        f"Default: not applicable. Texts and dates as summarised on {book.summarised}, in our own words; no legal advice and no claim of "
        "conformity."
    )
    if not people.may(*STATING):
        applying = [escaped(part.title, 200) for part in book.parts if answers.applies.get(part.id)]
        st.markdown("\n".join(f"- {title}" for title in applying) or "Nobody has said that a part applies.")
        st.caption(f"Answering needs {people.in_words(*STATING)}.")
        return
    by = people.name_or_ask("It stands beside the answers in the evidence chain.", "annex_name")
    with st.form(f"annex_{run.id}"):
        applies = {part.id: _asked(part, answers, run.id) for part in book.parts}
        fields: dict[str, str] = dict(answers.fields)
        for part in book.parts:
            if answers.applies.get(part.id):
                fields |= _gaps(part, answers, run.id)
        if st.form_submit_button("Save the answers", type="primary", icon=":material/save:"):
            kept = {name: text.strip() for name, text in fields.items() if text.strip()}
            _do(lambda: state(cache.workspace(), run, AnnexAnswers(applies=applies, fields=kept), by), STATING)


def _asked(part: Part, answers: AnnexAnswers, run_id: str) -> bool:
    source = frameworks().sources[part.source]
    help_ = "  \n".join(
        [escaped(source.title), escaped(source.text_of, 400), *map(escaped, source.dates), escaped(source.note)]
    )
    found = st.radio(
        escaped(part.question, 300), ["not applicable", "applies"], index=int(answers.applies.get(part.id, False)), horizontal=True,
        key=f"applies_{part.id}_{run_id}", help=help_,
    )  # fmt: skip
    return found == "applies"


def _gaps(part: Part, answers: AnnexAnswers, run_id: str) -> dict[str, str]:
    """A field for each thing that only people know."""
    with st.expander(f"{escaped(part.title, 200)}: fill in what the product cannot know", type="compact"):
        return {
            field.id: st.text_input(
                escaped(f"{field.ref}: {field.gap}", 300),
                value=answers.fields.get(field.id, ""),
                key=f"gap_{field.id}_{run_id}",
            )
            or ""
            for field in part.fields
            if field.gap
        }


def signing(run: Run, content: ReportContent) -> None:
    """The next steps of the sign-off, with a reason; an approver is not a reviewer of the run."""
    now = content.material.sign_off
    if now.reopened:
        st.caption("It was signed before; a later change reopened it.")
    steps = STEPS[now.state]
    if not steps:
        st.markdown(
            f"{escaped(now.state.capitalize())} by {escaped(now.by)} on {now.at[:16].replace('T', ' ')} UTC: {escaped(now.reason, 600)}"
        )
        st.caption("A later decision, audit or statement reopens it.")
        return
    if content.status != "complete":
        st.caption("The run is not finished. A report can be signed when it is complete.")
        return
    still = unfinished_sentence(content.material.chain)
    if still:
        st.warning(still, icon=":material/rate_review:")
    if now.reviewers:
        st.caption(
            f"Labels of this run were decided by {escaped(', '.join(sorted(now.reviewers)), 400)}: they cannot approve it."
        )
    if not people.may("reviewer", "approver"):
        st.caption(f"Signing off needs {people.in_words('reviewer', 'approver')}.")
        return
    by = people.name_or_ask("It stands beside the sign-off in the evidence chain.", "sign_name")
    reason = st.text_input(
        "Reason", key=f"reason_{run.id}", max_chars=1_000, placeholder="What was looked at, and why this step is right"
    )
    why_not = barred(now, by) if by else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        for step in steps:
            label, icon = _VERBS[step]
            signers: tuple[people.Role, ...] = ("reviewer", "approver") if step == "reviewed" else ("approver",)
            kind: Literal["primary", "secondary"] = "secondary" if step == "refused" else "primary"
            closed = not people.may(*signers) or (step == "approved" and bool(why_not))
            if st.button(label, icon=icon, type=kind, key=f"sign_{step}_{run.id}", disabled=closed):
                _do(partial(sign_off, cache.workspace(), run, step, by, reason or ""), signers)
        if why_not and "approved" in steps:
            st.caption(f"{escaped(why_not, 300)} Somebody else can.")


def _do(action: Callable[[], object], roles: tuple[people.Role, ...]) -> None:
    """Do it, if one of ``roles`` is here, and draw anew; an error is one sentence."""
    try:
        people.need(*roles)
        action()
    except HeirloomError as error:
        page.show_error(error)
        return
    st.rerun()
