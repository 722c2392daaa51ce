"""`python -m dozero` is the command `dozero`."""

from dozero.cli.main import main

if __name__ == "__main__":
    main()
