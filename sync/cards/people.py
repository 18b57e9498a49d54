"""What the person at the card may do here: their e-mail, as the host signed it, may belong to somebody with a login.

The invariant: a right counts only inside the organization of the signed account, and only for an active user.
"""

from __future__ import annotations

from django.contrib.auth.models import User

from integrations.cards import CardCaller


def members(caller: CardCaller) -> list[User]:
    """The active users with the caller's e-mail who are members of the account's organization."""
    if not caller.user_email:
        return []
    return list(
        User.objects.filter(
            is_active=True,
            email__iexact=caller.user_email,
            memberships__organization_id=caller.account.organization_id,
        ).order_by("pk")
    )


def editor(caller: CardCaller) -> User | None:
    """The user who may switch flows on and off; None when the caller is none."""
    return _allowed(caller, "sync.change_flow")


def crediting(caller: CardCaller) -> User | None:
    """The user who may credit a document and create it anew; None when the caller is none."""
    return _allowed(caller, "sync.credit_change")


def _allowed(caller: CardCaller, permission: str) -> User | None:
    """The first member whose role in this very organization has the right, whatever they may do in others."""
    return next((user for user in members(caller) if user.has_perm(permission, caller.account)), None)


def actor(caller: CardCaller) -> str:
    """The caller in the log: there need not be a user of ours behind the e-mail."""
    return f"{caller.user_email or 'unknown'} ({caller.account.get_system_display()} {caller.user_id})"[:200]
