"""The demo and the ablation in miniature. Nothing else imports this package."""
