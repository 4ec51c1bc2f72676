"""`python -m initaudit`."""

from initaudit.cli import main

if __name__ == "__main__":  # worker processes of an engine import it, too
    main()
