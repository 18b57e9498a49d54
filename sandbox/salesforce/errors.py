"""Refusals with Salesforce's codes and texts. A body is an array of ``{message, errorCode, fields?}``; a row of a
collection calls the code ``statusCode`` (Salesforce REST guide, status codes and error responses)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Body = dict[str, Any]


class SfError(Exception):
    """A refusal: HTTP status, code, text, the fields it concerns (None: the answer has no ``fields`` key at all) and
    further keys of a single-record answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: Iterable[str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.fields: list[str] | None = None if fields is None else list(fields)
        self.extra: Body = dict(extra or {})

    def body(self) -> list[Body]:
        """The answer of a single call."""
        entry: Body = {**self.extra, "message": self.message, "errorCode": self.code}
        if self.fields is not None:
            entry["fields"] = self.fields
        return [entry]

    def row(self) -> list[Body]:
        """The ``errors`` of one row of a collection or tree; extra keys are not shown there."""
        return [{"statusCode": self.code, "message": self.message, "fields": self.fields or []}]


def refused(code: str, message: str, *fields: str) -> SfError:
    """400 for a record that may not be written as asked."""
    return SfError(400, code, message, fields)


def not_found(message: str = "The requested resource does not exist") -> SfError:
    """404 for an object or path that is not there."""
    return SfError(404, "NOT_FOUND", message)


def unknown_record() -> SfError:
    """404 for an id of the right kind that no record has."""
    return not_found()


def no_external_id(name: str) -> SfError:
    """404: the key field is absent, no external id, or hidden from this user."""
    return not_found(f"Provided external ID field does not exist or is not accessible: {name}")


def gone() -> SfError:
    """404: the record is in the recycle bin."""
    return SfError(404, "ENTITY_IS_DELETED", "entity is deleted", [])


class SeveralMatches(SfError):
    """300: several records have the external id; ``ids`` names them."""

    def __init__(self, field: str, found: Iterable[str]) -> None:
        self.ids = list(found)
        super().__init__(
            300,
            "DUPLICATE_EXTERNAL_ID",
            f"{field}: more than one record found for external id field: {self.ids}",
            [field],
        )


def wrong_id(label: str, text: str) -> SfError:
    """400: the id belongs to another object, or is no id."""
    return refused("MALFORMED_ID", f"{label} ID: id value of incorrect type: {text}", "Id")


def bad_lookup(field: str, text: str, label: str) -> SfError:
    """400: a lookup was given something that is no id of the kinds it takes."""
    return refused("MALFORMED_ID", f"{label}: id value of incorrect type: {text}", field)


def no_column(field: str, object_name: str) -> SfError:
    """400: the field is unknown or hidden by field-level security, which looks the same."""
    return SfError(400, "INVALID_FIELD", f"No such column '{field}' on sobject of type {object_name}")


def read_only(names: Iterable[str]) -> SfError:
    """400: the fields exist but may not be written by this user in this call."""
    listed = list(names)
    return refused(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        f"Unable to create/update fields: {', '.join(listed)}. Please check the security settings of this field and "
        "verify that it is read/write for your profile or permission set.",
        *listed,
    )


def required(names: Iterable[str]) -> SfError:
    """400 REQUIRED_FIELD_MISSING for all missing fields at once."""
    listed = list(names)
    return refused("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(listed)}]", *listed)


def too_long(label: str, field: str, value: str, length: int) -> SfError:
    """400 STRING_TOO_LONG."""
    return refused("STRING_TOO_LONG", f"{label}: data value too large: {value} (max length={length})", field)


def bad_choice(label: str, field: str, value: str) -> SfError:
    """400: not among the values of a restricted picklist, or not among those of the record type."""
    return refused(
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", f"{label}: bad value for restricted picklist field: {value}", field
    )


def duplicate_value(field: str, holder: str) -> SfError:
    """400: another record has the value of a unique field; its id is told in fifteen characters."""
    return refused(
        "DUPLICATE_VALUE", f"duplicate value found: {field} duplicates value on record with id: {holder[:15]}"
    )


def id_in_body(name: str = "Id") -> SfError:
    """400: the address names the record, so the body may not."""
    return SfError(400, "INVALID_FIELD", f"The {name} field should not be specified in the sobject data.")


def cross_reference() -> SfError:
    """400: the record a lookup points at is gone."""
    return refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")


def hidden_reference(record_id: str) -> SfError:
    """400: the record a lookup points at never was, or this user may not see it."""
    return refused(
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        f"insufficient access rights on cross-reference id: {record_id[:15]}",
    )


def integrity(message: str, *fields: str) -> SfError:
    """400 FIELD_INTEGRITY_EXCEPTION."""
    return refused("FIELD_INTEGRITY_EXCEPTION", message, *fields)


def row_lock(record_id: str) -> SfError:
    """400: somebody else's transaction holds the record or its parent."""
    return refused(
        "UNABLE_TO_LOCK_ROW",
        f"unable to obtain exclusive access to this record or 1 records: {record_id[:15]}",
    )


def bad_json(detail: str, line: int = 1, column: int = 1) -> SfError:
    """400: the body could not be read."""
    return SfError(400, "JSON_PARSER_ERROR", f"{detail} at [line:{line}, column:{column}]")


def wrong_method(method: str, allowed: Iterable[str]) -> SfError:
    """405 naming what the resource takes."""
    names = ",".join(sorted({"HEAD", *allowed}, key=["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"].index))
    return SfError(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{method}' not allowed. Allowed are {names}")


def read_only_record() -> SfError:
    """403: this user may not change the record."""
    return SfError(403, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id", [])


def no_right(verb: str, label: str) -> SfError:
    """400: the user, or everybody, lacks the right to create or edit records of the object (as told in published
    integration tests that revoke it)."""
    return refused("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type cannot be {verb}: {label}")


def rolled_back_row() -> SfError:
    """An innocent row of an all-or-none collection."""
    return refused(
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "Record rolled back because not all records were valid and the request was using AllOrNone header",
    )


def halted() -> list[Body]:
    """The body of an innocent subrequest of an all-or-none composite call."""
    return [
        {
            "errorCode": "PROCESSING_HALTED",
            "message": "The transaction was rolled back since another operation in the same transaction failed.",
        }
    ]
