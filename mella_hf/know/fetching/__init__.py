"""Polite fetching: robots.txt, schedules per host, and a log that a killed run resumes from."""
