"""The peers of ``benchmarks/quality.py``: what they are trained on, how, and how all are judged."""
