"""An org together with its app and its people, and where it answers."""

from __future__ import annotations

from dataclasses import dataclass

from .app import App
from .org import Org
from .table import Row

LOGIN, TEST, MY = "login", "test", "my"


@dataclass(slots=True)
class Tenant:
    """One org as the outer world meets it: its users by their part, as ids."""

    org: Org
    app: App
    admin: str
    integration: str
    sellers: tuple[str, ...]

    def __post_init__(self) -> None:
        self.org.sharing = self.hidden_from

    def users(self) -> list[Row]:
        """Everybody, in the order in which they were made."""
        return list(self.org.rows["User"].values())

    def user(self, user_id: str) -> Row:
        """A user by id; KeyError when there is none."""
        return self.org.rows["User"][user_id]

    def by_username(self, name: str) -> Row | None:
        """A user by user name, without regard to case."""
        wanted = name.casefold()
        return next((row for row in self.users() if str(row.values.get("Username", "")).casefold() == wanted), None)

    def active(self, user_id: str) -> bool:
        """Whether a user may log in."""
        row = self.org.rows["User"].get(user_id)
        return row is not None and bool(row.values.get("IsActive")) and self.app.policies.user_active

    def may_deploy(self, user_id: str) -> bool:
        """Who has "Modify Metadata Through Metadata API Functions": administrators, others by a policy."""
        return user_id == self.admin or (user_id == self.integration and self.app.policies.user_may_deploy)

    def hides(self, user_id: str, record_id: str) -> bool:
        """Whether sharing keeps a record from a user."""
        return record_id[:15] in self.hidden_from(user_id)

    def hidden_from(self, user_id: str) -> frozenset[str]:
        """The ids, in fifteen characters, of the records that sharing keeps from a user."""
        hidden = self.app.policies.hidden_records
        if not hidden:
            return frozenset()
        name = str(self.user(user_id).values.get("Username", ""))
        return frozenset(entry[:15] for entry in hidden.get(name, ()))


@dataclass(frozen=True, slots=True)
class Address:
    """The host a request was sent to: ``kind`` is login, test or my; ``root`` is the address of the whole emulator
    and ``path`` what comes after the host."""

    kind: str
    root: str
    tenant: Tenant | None = None

    @property
    def base(self) -> str:
        """The host's own address, without a slash at the end."""
        if self.tenant is not None:
            return my_domain(self.root, self.tenant)
        return f"{self.root}/test" if self.kind == TEST else self.root

    @property
    def login(self) -> str:
        """The login host of the identity URLs given out here."""
        return f"{self.root}/test" if self.kind == TEST or self._sandbox else self.root

    @property
    def _sandbox(self) -> bool:
        return self.tenant is not None and self.tenant.org.profile.is_sandbox


def my_domain(root: str, tenant: Tenant) -> str:
    """An org's own host: the ``instance_url`` of its tokens."""
    return f"{root}/my/{tenant.org.my_domain}"


def identity(root: str, tenant: Tenant, user_id: str) -> str:
    """The identity URL of a user; it begins with the login host of the kind of org."""
    host = f"{root}/test" if tenant.org.profile.is_sandbox else root
    return f"{host}/id/{tenant.org.id}/{user_id}"
