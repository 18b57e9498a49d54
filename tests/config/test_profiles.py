"""The two profiles: production reports nothing to `check --deploy` and refuses to start without its secrets."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

MANAGE = Path(settings.BASE_DIR) / "manage.py"
KEY = "k1:" + base64.urlsafe_b64encode(b"0" * 32).decode()


def manage(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG"}}
    return subprocess.run(
        [sys.executable, str(MANAGE), *arguments], env=clean | env, capture_output=True, text=True, check=False
    )


PRODUCTION = {
    "PROFILE": "production",
    "SECRET_KEY": "x" * 30 + "Zq8!rT2$" * 4,
    "FIELD_ENCRYPTION_KEYS": KEY,
    "PUBLIC_URL": "https://ledgerbridge.example",
    "ALLOWED_HOSTS": "ledgerbridge.example",
    "DATABASE_URL": "postgres://u:p@db.example/l",
}


def test_production_reports_nothing_to_check_deploy() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


@pytest.mark.parametrize("missing", ["SECRET_KEY", "FIELD_ENCRYPTION_KEYS"])
def test_production_refuses_to_start_without_a_secret(missing: str) -> None:
    env = {name: value for name, value in PRODUCTION.items() if name != missing}
    done = manage("check", **env)
    assert done.returncode != 0
    assert missing in done.stderr


def test_production_has_no_sandbox_command() -> None:
    done = manage("sandbox", "--help", **PRODUCTION)
    assert done.returncode != 0 and "Unknown command" in done.stderr


def test_production_refuses_a_public_url_without_https() -> None:
    done = manage("check", **(PRODUCTION | {"PUBLIC_URL": "http://ledgerbridge.example"}))
    assert done.returncode != 0 and "E018" in done.stderr


def test_an_unknown_profile_is_refused() -> None:
    done = manage("check", PROFILE="staging")
    assert done.returncode != 0 and "PROFILE must be" in done.stderr


def test_a_secret_may_be_given_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(PRODUCTION["SECRET_KEY"])
    env = {name: value for name, value in PRODUCTION.items() if name != "SECRET_KEY"}
    done = manage("check", "--deploy", "--fail-level", "WARNING", **env, SECRET_KEY_FILE=str(path))
    assert done.returncode == 0, done.stderr


@pytest.mark.django_db
def test_every_page_forbids_frames_scripts_from_elsewhere_and_inline_code(client: Client) -> None:
    response = client.get("/admin/login/")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Frame-Options"] == "DENY"


def test_the_health_address_answers_without_a_database(client: Client) -> None:
    assert client.get("/livez").content == b"ok"
