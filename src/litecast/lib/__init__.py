"""Macros on values shared by frontends and rules: each appends operations through a Builder."""
