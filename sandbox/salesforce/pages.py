"""The frame of the emulator's own pages, clearly labelled."""

from __future__ import annotations

from html import escape

from werkzeug import Response

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem;color:#181818}"
    ".banner{background:#fff4d6;border:1px solid #e0b84a;padding:.5rem 1rem;border-radius:4px}"
    "fieldset{border:1px solid #c9c9c9;border-radius:4px;margin:1rem 0}label{display:block;padding:.25rem 0}"
    "button{font:inherit;padding:.4rem 1.25rem;border-radius:4px;border:1px solid #0176d3;cursor:pointer}"
    ".yes{background:#0176d3;color:#fff}.no{background:#fff;color:#0176d3}"
)
HTML = "text/html; charset=utf-8"


def page(title: str, content: str, status: int = 200) -> Response:
    """A page with a title; ``content`` is HTML."""
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} | Salesforce emulator'
        f'</title><meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f'<p class="banner">Demonstration: an emulated Salesforce with invented orgs.</p>{content}</body></html>'
    )
    return Response(text, status=status, content_type=HTML)
