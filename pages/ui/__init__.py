"""What every page is made of. To add a page, add one file.

Put ``pages/<distil|judge|prove>/<name>.py`` there, with two names in it::

    from pages.ui.page import PageInfo

    PAGE = PageInfo(
        group="Judge", title="Bias", icon=":material/balance:", order=30, url_path="bias",
        question="What did the student inherit, and what did distillation add?",
        needs_run="finished", role="reader",
    )

    def render() -> None:
        run = frame.run()                      # the run under inspection; the frame above the page is already drawn
        report = cache.report(run)             # AuditReport or None, cached by run id and the file's time
        ...

app.py finds it. Nothing else is edited. The frame gives it a title, the question, the run's name and status, the gate of
its role, and one error boundary: raise any HeirloomError and the reader sees its sentence and hint, never a traceback.

    page       PageInfo, discovery, links, error boundary, ``live`` (a fragment that polls only while it must)
    frame      the run under inspection, chosen once, kept in the URL; ``frame.run()``
    state      the only user of session_state and of query parameters (the URL carries ids only)
    people     who is here: signed in, or self-declared; which roles they have
    cache      bounded caches over files, keyed by run id and modification time; nothing mutates what they return.
               ``cache.audited(run)`` has the measures indexed: a page looks up hundreds of them
    overview   a run in one line, stages and log of its events
    actions    cancel, resume, run again, audit again, delete
    forms      widgets from a pydantic model: ``forms.draw(Model, values, key)``
    draft      the spec that a person is putting together, shared by Data and New run
    charts     plotly with one look; ``charts.show(figure, table, key=…, says=…)`` puts the same data under it as a folded table
    parts      verdict, gates, badges, empty states
    cards, compare_charts, bars, claims, price_book, rows, start_step, preflight_view    parts of single pages
    palette    colours and shapes of arms and of pass / fail / cannot tell
    figures    numbers: three significant digits, intervals, units
    words      plain names of measures, arms, stages
    text       ``visible`` and ``escaped`` for anything that a file or a model said. Never pass such text to Markdown unescaped.

Order of groups and pages: ``order`` within a group (Compare 10, Examples 20, Bias 30, Alternatives 40, Lineage 50;
Review 10, Report 20). ``needs_run``: ``""`` (none), ``"any"`` (any run), ``"finished"`` (only runs with an audit are offered).
"""
