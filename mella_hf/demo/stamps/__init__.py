"""The Tux Paint stamps as a data source."""
