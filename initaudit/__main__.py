"""`python -m initaudit`."""

from initaudit.cli import main

main()
