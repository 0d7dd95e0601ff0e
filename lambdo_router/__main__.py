"""`python -m lambdo_router` is `lambdo-router`."""

from lambdo_router.cli import main

if __name__ == "__main__":
    main()
