"""MkDocs sees docs/ only. Files elsewhere that its pages link to (pictures, measurements) become part of the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")
OUTSIDE = "repository"


def on_files(files: Files, config: Any) -> Files:
    root = Path(config["config_file_path"]).parent
    unread = list(files.documentation_pages())
    while unread:
        page = unread.pop()
        for link in LINK.findall(page.content_string):
            path = _linked(page.src_uri, link)
            if (
                path.startswith("docs/")
                or not (root / path).is_file()
                or files.get_file_from_path(_in_site(path))
            ):
                continue
            file = File.generated(
                config, _in_site(path), abs_src_path=str(root / path), inclusion=InclusionLevel.NOT_IN_NAV
            )
            files.append(file)
            if file.is_documentation_page():
                unread.append(file)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as the site's files lie; in the repository they are as a code host follows them."""
    here = page.file.src_uri

    def moved(link: re.Match[str]) -> str:
        return posixpath.relpath(_in_site(_linked(here, link[1])), posixpath.dirname(here) or ".")

    return LINK.sub(moved, markdown)


def _linked(page: str, link: str) -> str:
    """The path in the repository that a page of the site links to."""
    outside = page.removeprefix(f"{OUTSIDE}/")
    folder = posixpath.dirname(outside if outside != page else f"docs/{page}")
    return posixpath.normpath(posixpath.join(folder, link))


def _in_site(path: str) -> str:
    """Where the site has a file of the repository."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{OUTSIDE}/{path}"
