"""Streamlit lives here and in app.py only. Sub-folders keep the legacy discovery of ``pages/*.py`` empty-handed."""
