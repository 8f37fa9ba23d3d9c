"""Each headline speed figure as a script that prints a ratio against a named peer, measured in one run."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Read once, when torch is first imported, so for the peers as well: see distill/engine/__init__.py.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
