"""The service: trained networks behind HTTP, with a page to try them on.

Rule: it sees nothing of training, no name that a client sends becomes a path on this machine, and this room
alone imports the web framework.
"""
