"""Bokis, an accounting system that exists only in the tests, laid out as a vendor's folder is.

`books` is the remote side; `errors`, `schema` and `connector` are what a new system needs, `presets/` its flows, and
`world` runs them. docs/adding-a-connector.md walks through it.
"""
