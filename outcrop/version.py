"""Which release of Outcrop this is. Every stack has it as its output `Version`."""

VERSION = "0.1.0"
