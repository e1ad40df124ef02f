"""schemathesis over the whole schema, served for real. Its own environment: see `run.py`."""
