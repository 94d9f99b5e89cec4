"""The paper's open questions: made-up names and rare names."""
