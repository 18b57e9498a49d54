"""The management command as a process."""

from __future__ import annotations

import requests

from tests.sandbox_process import SandboxProcess


def test_command_serves_what_its_options_say_and_ends() -> None:
    options = ("--customers", "3", "--articles", "2", "--invoices", "0", "--accounts", "1", "--no-limits")
    with SandboxProcess(*options) as sandbox:
        account = sandbox.account("fortnox")
        token = sandbox.control("POST", "/token", {"system": "fortnox"})["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.get(f"{account['base_url']}/3/customers", headers=headers, timeout=5)
        assert len(answer.json()["Customers"]) == 3
        assert answer.json()["Customers"][0]["@url"].startswith(account["base_url"] + "/3/")
        url = sandbox.url
    try:
        requests.get(url, timeout=1)
    except requests.exceptions.ConnectionError:
        return
    raise AssertionError("the sandbox is still there")
