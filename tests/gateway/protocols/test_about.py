"""The table of APIs in the documentation."""

from pathlib import Path

from gateway.protocols import about


def test_page_is_what_the_adapters_say():
    """`docs/apis.md` is generated: run `python -m gateway.protocols.about > docs/apis.md` after a change."""
    page = Path(__file__).parents[3] / "docs" / "apis.md"
    assert page.read_text(encoding="utf-8") == about.table()


def test_every_api_says_everything():
    """No adapter leaves a fact out, no two have the same name, and unknown APIs come last."""
    found = about.apis()
    assert all(getattr(info, name) for info in found for name in about.ApiInfo.__slots__)
    assert len({info.name for info in found}) == len(found)
    assert found[-1].name == "any other"
