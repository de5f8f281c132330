"""Page kinds as web-poet page classes and fixtures, so that its test plugin and other frameworks can use them."""

from __future__ import annotations

from pathlib import Path
from types import new_class
from typing import TYPE_CHECKING, Any, ClassVar

from web_poet import HttpResponse, HttpResponseBody, HttpResponseHeaders, WebPage, cached_method, field
from web_poet.serialization import SerializedDataFileStorage, deserialize
from web_poet.testing import Fixture

from marketwatch.errors import PageError, Place
from marketwatch.records import Page

if TYPE_CHECKING:
    from marketwatch.reading.kinds import Link
    from marketwatch.reading.reader import Reader, Reading


class PackPage(WebPage[dict[str, Any]]):
    """A page of one kind; `to_item` gives what `Reader.read` gives, as JSON-ready values."""

    reader: ClassVar[Reader]
    platform: ClassVar[str | None]
    kind: ClassVar[str | None]

    @cached_method
    def reading(self) -> Reading:
        return self.reader.read(page_of(self.response), platform=self.platform, kind=self.kind)

    @field
    def outcome(self) -> str:
        return self.reading().outcome.value

    @field
    def kind_read(self) -> str:
        return self.reading().kind

    @field
    def records(self) -> list[dict[str, Any]]:
        return [record.to_json() for record in self.reading().records]

    @field
    def links(self) -> list[dict[str, Any]]:
        return [link_json(link) for link in self.reading().links]


def page_class(reader: Reader, platform: str | None, kind: str | None) -> type[PackPage]:
    """The web-poet class of one kind (None: found out from the page)."""
    name = "".join(
        part.title() for part in f"{platform or 'any'}-{kind or 'page'}".replace("_", "-").split("-")
    )
    own = {"reader": reader, "platform": platform, "kind": kind}
    return new_class(name, (PackPage,), exec_body=lambda namespace: namespace.update(own))


def link_json(link: Link) -> dict[str, Any]:
    shown: dict[str, Any] = {"url": link.url, "kind": link.kind}
    if link.browser:
        shown["browser"] = True
    if link.carry:
        shown["carry"] = {name: str(value) for name, value in link.carry.items()}
    if link.method != "GET":
        shown |= {"method": link.method, "body": link.body, "headers": dict(link.headers)}
    return shown


def page_of(response: HttpResponse) -> Page:
    headers = tuple((str(name), str(value)) for name, value in response.headers.items())
    return Page(str(response.url), bytes(response.body), response.status or 200, headers)


def load_fixture_page(folder: Path) -> Page:
    """The saved page of a fixture. Raises PageError when the folder holds none."""
    try:
        inputs = SerializedDataFileStorage(Fixture(folder).input_path).read()
        response = deserialize(WebPage, inputs).response
    except (OSError, KeyError, ValueError) as exc:
        raise PageError(f"no web-poet fixture: {exc}", place=Place(str(folder))) from None
    return page_of(response)


def save_fixture(folder: Path, page: Page, output: dict[str, Any]) -> Path:
    """Write `folder` (new) as a web-poet fixture: the page, and what is to be read from it."""
    response = HttpResponse(
        page.url,
        body=HttpResponseBody(page.body),
        status=page.status,
        headers=HttpResponseHeaders.from_name_value_pairs([{"name": k, "value": v} for k, v in page.headers]),
    )
    if folder.exists():
        raise PageError("is already there", place=Place(str(folder)), hint="choose another name")
    fixture = Fixture.save(folder.parent, inputs=[response], fixture_name=folder.name)
    fixture.output_path.write_text(fixture.item_to_json(output) + "\n", encoding="utf-8")
    return folder


__all__ = ["PackPage", "load_fixture_page", "page_class", "page_of", "save_fixture"]
