"""The demo and the miniature ablation. No other package imports this one."""
