"""Hides the secrets of addresses: users, passwords, keys, tokens. They are found by their shape, anywhere in a text."""

from __future__ import annotations

import re
from urllib.parse import unquote

HIDDEN = "..."

_SCHEME = r"[a-zA-Z][a-zA-Z0-9+.-]+"
_URL = re.compile(rf"^{_SCHEME}://")
# Parts of a text that may be an address. A missing slash or colon must not reveal its secrets.
_ADDRESS = re.compile(rf"(?<![\w+.-]){_SCHEME}(?::/+|:?//)[^\s'\"<>`|]+")
_LOGIN = re.compile(r"(?<![\w.%+-])(?!testsrc:)[\w.%+-]*:[^\s/@'\"]+@(?=[\w\[])")
_SECRETS = "api_?key|stream_?key|pass|passphrase|passwd|password|passwort|pwd|secret|signature|streamid|token|access_?token|jwt"
_WORDS = f"{_SECRETS}|auth|authorization|credentials?|key|login|session|sid|sig|ticket|tkt|usr|user|username"
# "password=x" in a query, in parameters or in a path: up to the beginning of the next entry.
_VALUE = r"((?:^|[^a-z0-9])(?:[a-z0-9]+[_-])*?(?:%s)\s*=)(?:(?!_[a-z]\w*=)[^&;,/?#\s'\"])+"
_SECRET = re.compile(_VALUE % _SECRETS, re.IGNORECASE)
_GIVEN = re.compile(_VALUE % _WORDS, re.IGNORECASE)
_NAMED = re.compile(rf"(/(?:{_WORDS})/)[^/?#]+", re.IGNORECASE)
# "Authorization: Bearer x" in a header.
_HEADER = re.compile(r"((?:authorization|cookie|token|api-?key)\s*:\s*)[^\r\n'\"]+", re.IGNORECASE)
# "name:password" in a path, and words in a path that only a machine makes up.
_PAIR = re.compile(r"(?<=/)([^/:?#]*[^/:?#\d][^/:?#]*:)[^/?#]+")
_RANDOM = re.compile(r"(?<=/)(?=[^/?#]*[0-9])(?=[^/?#]*[a-zA-Z])[a-zA-Z0-9]{16,}(?=$|[/?#])")
# Shorter secrets would be found in any text.
_LEAST_KNOWN = 4

_known: set[str] = set()


def remember(secret: str) -> None:
    """Hide a value from now on, whatever stands around it."""
    if len(secret) >= _LEAST_KNOWN:
        _known.update({secret, unquote(secret)})


def redacted(url: str) -> str:
    """An address without user, password, query and stream key. A file's name stays, unless it looks like an address."""
    if url == "-":
        return "standard input"
    if not _URL.match(url) or url.startswith("file://"):
        return masked(url)
    scheme, _, rest = url.partition("://")
    rest = without_login(rest)
    if scheme.lower().startswith("rtmp"):
        rest = rest.split()[0] if rest.split() else ""
    if nested := re.search(rf"/{_SCHEME}://", rest):
        inner = redacted(rest[nested.start() + 1 :])
        rest = rest[: nested.start() + 1]
        return _without_known(f"{scheme}://{_masked_path(rest)}{inner}")
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    if scheme.lower().startswith("rtmp") and rest.strip("/").count("/") > 1:
        rest = rest.rstrip("/").rpartition("/")[0] + f"/{HIDDEN}"  # the key of a stream is its password
    return _without_known(f"{scheme}://{_masked_path(rest)}")


def masked(text: str) -> str:
    """The text, with each address in it redacted and each word beside it that looks like a password hidden."""
    if not text:
        return text
    text = _ADDRESS.sub(_masked_address, _without_known(text))
    text = _LOGIN.sub(f"{HIDDEN}@", text)
    text = _SECRET.sub(rf"\1{HIDDEN}", text)
    return _HEADER.sub(rf"\1{HIDDEN}", text)


def hide(error: BaseException | None) -> None:
    """Mask the message and the values of an exception and of its causes."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        one.args = tuple(_masked_argument(argument) for argument in one.args)
        for name in ("filename", "strerror"):
            value = getattr(one, name, None)
            if isinstance(value, str) and value != masked(value):
                try:
                    setattr(one, name, masked(value))
                except AttributeError:  # in PyAV's errors it is one of the arguments
                    continue


def _masked_argument(argument: object) -> object:
    if isinstance(argument, str):
        return masked(argument)
    return tuple(map(_masked_argument, argument)) if isinstance(argument, tuple) else argument


def _masked_address(match: re.Match[str]) -> str:
    text = match[0]
    ending = text[len(text.rstrip(".,;:)]}")) :]
    text = text.removesuffix(ending)
    scheme, slashes, rest = re.fullmatch(rf"({_SCHEME})(:?/+)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    if scheme == "file":
        return match[0]
    return redacted(f"{scheme}://{rest}").replace("://", slashes, 1) + ending


def without_login(rest: str) -> str:
    """What follows the scheme of an address, without user and password."""
    login, _, after = rest.rpartition("@")
    # A password may contain "/", "?" and "#". But the "@" may also belong to a path or a query.
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if login and ("@" in host or not re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:\d*)?", host)):
        return after
    return rest.removeprefix("@") if not login else rest


def _masked_path(rest: str) -> str:
    """The path after the scheme, without login and query."""
    host, slash, path = rest.partition("/")
    if ";" in host:
        host = host.partition(";")[0]
    path = f"{slash}{path}"
    if (plain := unquote(path)) != path and (_GIVEN.search(plain) or _PAIR.search(plain)):
        path = plain
    path = _GIVEN.sub(rf"\1{HIDDEN}", path)
    path = _NAMED.sub(rf"\1{HIDDEN}", path)
    path = _PAIR.sub(rf"\1{HIDDEN}", path)
    return host + _RANDOM.sub(HIDDEN, path)


def _without_known(text: str) -> str:
    """The names of entries stay: "password=x" would hide x no more if the known secret "word" were taken out of it."""
    for secret in sorted(_known, key=len, reverse=True):
        pattern = rf"(?i:(?P<name>{_WORDS})(?=\s*(?:=|%3d)))|{re.escape(secret)}"
        text = re.sub(pattern, lambda match: match["name"] or HIDDEN, text)
    return text
