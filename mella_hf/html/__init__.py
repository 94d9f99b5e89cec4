"""The kit for all HTML pages: templates, tables, charts."""
