"""The tiny world with a draft to try: customers, a published mapping, and a draft that shouts their names."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from integrations.models import Integration
from mappings.models import MappingSet, new_draft
from tests import factories as make
from tests.tiny_world import TinyWorld


class LabWorld(TinyWorld):
    """See the module's docstring. Live, so that what is approved goes out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        super().__init__(monkeypatch, **options)
        monkeypatch.setattr("sync.lab.samples.connector_for", self._connector)
        Integration.objects.filter(pk=self.integration.pk).update(mode=Integration.Mode.LIVE)
        self.integration.refresh_from_db()
        self.published: MappingSet = self.flow.mapping_set()

    def draft(self, expression: str = "upper(customer.name)", field: str = "name") -> MappingSet:
        """A draft with another expression for one field."""
        made = new_draft(self.flow.mapping_set(), None)
        rule = made.field_mappings.get(target_field=field)
        rule.expression = expression
        rule.save()
        return made

    def person(self, role: str = "consultant") -> tuple[User, Client]:
        """Somebody of the organization, signed in."""
        user = make.make_user(organization=self.integration.organization, role=role)
        client = Client()
        client.force_login(user)
        return user, client
