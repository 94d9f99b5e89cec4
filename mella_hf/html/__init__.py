"""The kit that every page is drawn with: templates, tables, charts."""
