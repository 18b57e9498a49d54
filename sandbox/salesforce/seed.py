"""The orgs at the start of the world: the same for the same seed."""

from __future__ import annotations

from sandbox.core.clock import Clock
from sandbox.core.world import Sizes

from . import seed_people
from .app import App, Policies
from .options import OrgOptions, OrgProfile
from .org import Org
from .seed_data import Seeder
from .seed_fields import customer_fields
from .tenant import Tenant


class SeedClock:
    """A clock that the seed sets: records are as old as they are meant to be."""

    def __init__(self, moment: float) -> None:
        self.moment = moment

    def time(self) -> float:
        """Epoch seconds."""
        return self.moment


def build(seed: int, sizes: Sizes, clock: Clock) -> dict[str, Tenant]:
    """A production org with one currency, and one with several currencies, person accounts and rotating tokens,
    which has a quarter of the accounts."""
    main = _tenant(OrgProfile(name="Nordkraft"), OrgOptions(), Policies(), clock)
    other = _tenant(
        OrgProfile(name="Fjällverk", my_domain="fjallverk", instance="Gz"),
        OrgOptions(multi_currency=True, person_accounts=True),
        Policies(rotation=True),
        clock,
    )
    if not sizes.empty:
        _fill(main, seed, sizes.accounts, sizes.deals, clock)
        _fill(other, seed, (sizes.accounts + 3) // 4, sizes.deals, clock)
    return {tenant.org.id: tenant for tenant in (main, other)}


def _tenant(profile: OrgProfile, options: OrgOptions, policies: Policies, clock: Clock) -> Tenant:
    org = Org(profile, clock, options)
    admin, integration = (seed_people.add_user(org, one) for one in (seed_people.ADMIN, seed_people.INTEGRATION))
    sellers = tuple(seed_people.add_user(org, person) for person in seed_people.SELLERS)
    customer_fields(org)
    key = f"3MVG9{profile.instance}Sandbox.{profile.my_domain}.consumer.key"
    app = App(key, f"SANDBOX-CONSUMER-SECRET-{profile.my_domain.upper()}", policies=policies)
    return Tenant(org, app, admin, integration, sellers)


def _fill(tenant: Tenant, seed: int, accounts: int, deals: int, clock: Clock) -> None:
    org, past = tenant.org, SeedClock(clock.time())
    org.clock = past
    try:
        Seeder(tenant, seed, past).fill(accounts, deals)
    finally:
        org.clock = clock
