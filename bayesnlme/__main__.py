"""``python -m bayesnlme``: the command line."""

from bayesnlme.cli import main

if __name__ == "__main__":
    main()
