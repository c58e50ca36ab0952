"""Ask the world's name servers, not this network's, which may have answers of their own."""

from __future__ import annotations

from typing import Any

SERVERS = ("1.1.1.1", "8.8.8.8", "9.9.9.9")
PORT = 53
_TRY_SECONDS = 1.0
_SECONDS = 3.0


class UnansweredError(Exception):
    """No name server can be reached."""


class ServerFailureError(Exception):
    """The name servers of the name itself don't answer, or answer wrongly; it names the name."""


def ask(name: str, kind: str) -> list[Any]:
    """Return the records of a name, none if there are none or there is no such name.

    Parameters
    ----------
    kind
        Such as ``NS``.

    Raises
    ------
    UnansweredError
        If nobody answers.
    ServerFailureError
        If public resolvers get no answer for this name.
    """
    import dns.exception
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = list(SERVERS)
    resolver.port, resolver.timeout, resolver.lifetime = PORT, _TRY_SECONDS, _SECONDS
    try:
        answer = resolver.resolve(f"{name}.", kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return []
    except dns.resolver.NoNameservers as error:
        if any(response is not None for *_, response in error.kwargs.get("errors", [])):
            raise ServerFailureError(name) from error
        raise UnansweredError("the network lets no DNS out") from error
    except (dns.exception.Timeout, OSError) as error:
        raise UnansweredError(f"none of {', '.join(SERVERS)} within {_SECONDS:g} s") from error
    return list(answer.rrset or [])
