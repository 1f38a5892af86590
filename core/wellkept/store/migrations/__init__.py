"""Migrations: what brings an older store up to date."""
