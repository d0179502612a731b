"""Readers of source models, a package per format, and the importer table that serves them all."""
