"""State and country picklists: codes and texts follow each other, and a text must be the integration value, which is
the English name by default. Sweden has no states."""

from __future__ import annotations

from . import errors
from .countries import BY_NAME, COUNTRIES, STATES
from .write import Write

BAD_COUNTRY = (
    "There's a problem with this country, even though it may appear correct. "
    "Please select a country/territory from the list of valid countries."
)
BAD_STATE = (
    "There's a problem with this state, even though it may appear correct. "
    "Please select a state from the list of valid states."
)


def align(write: Write) -> None:
    """Bring every address that is written in line; FIELD_INTEGRITY_EXCEPTION for a place that is not in the lists."""
    for stem in write.org.plan(write.definition).address_stems:
        names = tuple(stem + part for part in ("Country", "CountryCode", "State", "StateCode"))
        if any(name in write.values for name in names):
            _country(write, stem)
            _state(write, stem)


def _label(write: Write, name: str) -> str:
    return write.definition.fields[name.lower()].label


def _country(write: Write, stem: str) -> None:
    text, code = stem + "Country", stem + "CountryCode"
    given_text, given_code = write.values.get(text), write.values.get(code)
    if given_code is not None:
        found = given_code.upper()
        if found not in COUNTRIES:
            raise errors.bad_choice(_label(write, code), code, given_code)
        if given_text is not None and BY_NAME.get(given_text.casefold()) != found:
            raise _bad_country(write, text)
    elif given_text is not None:
        matched = BY_NAME.get(given_text.casefold())
        if matched is None:
            raise _bad_country(write, text)
        found = matched
    elif text in write.values or code in write.values:
        write.values[text] = write.values[code] = None
        return
    else:
        return
    write.values[code], write.values[text] = found, COUNTRIES[found]


def _bad_country(write: Write, name: str) -> errors.SfError:
    return errors.integrity(
        f"{BAD_COUNTRY}: {_label(write, name)}",
        name,
    )


def _state(write: Write, stem: str) -> None:
    text, code = stem + "State", stem + "StateCode"
    given = (text in write.values, code in write.values)
    if any(given) and write.values.get(text) is None and write.values.get(code) is None:
        write.values[text] = write.values[code] = None
        return
    wanted_code, wanted_text = write.values.get(code), write.values.get(text)
    if not any(given):
        wanted_code = write.old(code)
    if wanted_code is None and wanted_text is None:
        return
    country = write.get(stem + "CountryCode")
    if country is None:
        raise errors.integrity(
            f"A country/territory must be specified before specifying a state value for field: {_label(write, text)}",
            text,
        )
    states = STATES.get(country, {})
    found = wanted_code.upper() if wanted_code else _code_of(states, wanted_text or "")
    if found not in states or (wanted_text is not None and _code_of(states, wanted_text) != found):
        raise errors.integrity(
            f"{BAD_STATE}: {_label(write, text)}",
            text,
        )
    write.values[code], write.values[text] = found, states[found]


def _code_of(states: dict[str, str], name: str) -> str:
    wanted = name.casefold()
    return next((code for code, text in states.items() if text.casefold() == wanted), "")
