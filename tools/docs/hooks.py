"""What mkdocs.yml cannot say: pages that are made from the sources when the site is built."""

from __future__ import annotations

from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.docs import course, pages, pictures


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The parts of the navigation whose pages are made."""
    made: dict[str, list[Any]] = {"COURSE": course.navigation(), "ROOMS": pages.architecture_navigation()}
    config.nav = [
        {title: made.get(entry, entry) if isinstance(entry, str) else entry for title, entry in item.items()}
        if isinstance(item, dict)
        else item
        for item in config.nav or []
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages themselves."""
    for uri, text in {**pages.made(), **course.made()}.items():
        files.append(File.generated(config, uri, content=text))
    for name, picture in pictures.made().items():
        if picture.startswith("<svg"):
            files.append(File.generated(config, f"pictures/{name}.svg", content=picture))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """`<!-- picture NAME: what it shows -->` in a line of its own is a picture that the product has drawn."""
    up = "../" * page.file.src_uri.count("/")
    return pictures.placed(markdown, up)
