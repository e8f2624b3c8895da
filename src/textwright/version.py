"""The version of the package that is installed."""

from importlib import metadata

try:
    VERSION = metadata.version("textwright")
except metadata.PackageNotFoundError:  # run from a checkout that isn't installed
    VERSION = "0+unknown"
