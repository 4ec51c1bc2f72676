"""Where the project lives on the web. initaudit itself opens none of these addresses: they stand in reports for a reader to follow."""

REPOSITORY = "https://github.com/initaudit/initaudit"
"""The source; `project.urls` in pyproject.toml says the same."""
DOCUMENTATION = "https://initaudit.github.io/initaudit/"
"""The site that `docs/build.py` makes, its pages below it; `project.urls` in pyproject.toml says the same."""


def rule_page(code: str) -> str:
    """The page of one of initaudit's own rules."""
    return f"{DOCUMENTATION}rules/{code}/"
