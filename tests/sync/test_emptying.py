"""The suite's own broom: a test that commits leaves nothing, whatever refers to what."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission

from integrations.models import Organization
from tests.emptying import empty
from tests.workplace import Workplace

pytestmark = pytest.mark.django_db(transaction=True)


def test_rows_that_refer_to_each_other_are_gone_and_permissions_stay() -> None:
    Workplace()
    before = Permission.objects.count()
    assert Organization.objects.exists() and before
    empty("default")
    kept = {"contenttypes", "auth.permission"}
    left = {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model._meta.managed and not {model._meta.app_label, model._meta.label_lower} & kept
    }
    assert not {label: n for label, n in left.items() if n}
    assert Permission.objects.count() == before
