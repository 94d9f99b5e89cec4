"""Supervised fine-tuning of vision-language models with TRL and PEFT."""
