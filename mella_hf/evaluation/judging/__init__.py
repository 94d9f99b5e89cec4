"""Judgements of answers by people and by judge models."""
