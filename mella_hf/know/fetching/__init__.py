"""Polite fetching: robots.txt, a schedule per host, and a log from which a killed run resumes."""
