"""The browser of the tests of pages."""

from tests.formats.conftest import browser

__all__ = ["browser"]
