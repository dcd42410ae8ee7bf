"""Who asked for a request, as attributes of its CloudEvent.

They only inform: any writer of a topic can name anybody, so a reader has to know its writers.

https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/authcontext.md
"""

from dataclasses import dataclass
from typing import Final, Literal

from sluice_contracts.records import Headers, header

__all__ = ["Author", "AuthorType", "author_extensions", "author_id"]

_MAX_ID: Final = 256


AuthorType = Literal["api_key", "service_account", "system", "user", "unauthenticated"]


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who asked: `id` is `kind:id` of the principal, None if nobody was identified."""

    type: AuthorType
    id: str | None


def author_extensions(author: Author) -> dict[str, str]:
    """Return the attributes of the event."""
    named = {} if author.id is None else {"authid": author.id[:_MAX_ID]}
    return {"authtype": author.type, **named}


def author_id(headers: Headers) -> str | None:
    """Return the `id` of the author that a record in binary mode names."""
    found = header(headers, "ce_authid")
    return found[:_MAX_ID] if found else None
