"""axe, the accessibility checker, on a page that is open in the browser."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Frame, Page

SERIOUS = ("serious", "critical")
RUN = """async rules => {
    const options = {preload: false, resultTypes: ["violations"]};
    if (rules.length) options.runOnly = rules;
    return (await axe.run(document, options)).violations;
}"""


@cache
def _script() -> str:
    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


def serious(page: Page | Frame, *rules: str) -> list[str]:
    """What axe calls serious or critical, a line each: rule, help, and the first elements concerned.

    `rules` are those to look for; every one of axe's when none is named.
    """
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_script())
    found = page.evaluate(RUN, list(rules))
    return [
        f"{rule['id']}: {rule['help']}: " + " | ".join(node["html"][:160] for node in rule["nodes"][:3])
        for rule in found
        if rule["impact"] in SERIOUS
    ]
