"""The bridge's version: in setup.cfg's metadata and in every call's `context.integration`."""

VERSION = "0.1.0"
