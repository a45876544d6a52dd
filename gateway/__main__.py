"""``python -m gateway`` is ``sluice``."""

from gateway.cli import main

if __name__ == "__main__":
    main()
