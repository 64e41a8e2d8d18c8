"""The files of the service's page, by name, each with the content type that it is sent with.

Rule: the page asks nothing of other hosts, and a file that is not in this table is not served.
"""

FILES: dict[str, str] = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "app.js": "text/javascript; charset=utf-8",
    "api.js": "text/javascript; charset=utf-8",
    "dialog.js": "text/javascript; charset=utf-8",
    "incoming.js": "text/javascript; charset=utf-8",
    "layers.js": "text/javascript; charset=utf-8",
    "panel.js": "text/javascript; charset=utf-8",
    "pictures.js": "text/javascript; charset=utf-8",
    "viewer.js": "text/javascript; charset=utf-8",
}
