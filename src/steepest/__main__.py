"""`python -m steepest`: the same as the command `steepest`."""

from steepest.cli import main

if __name__ == "__main__":
    main()
