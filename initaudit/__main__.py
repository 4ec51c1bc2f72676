"""`python -m initaudit`."""

from initaudit.main import main

if __name__ == "__main__":  # worker processes of an engine import it, too
    main()
