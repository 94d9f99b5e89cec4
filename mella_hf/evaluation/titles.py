"""Titles of metrics, splits, subsets and failures on pages and in tables, and the leading metric of each split."""

METRICS = {
    "keyword_micro": ("Keyword accuracy", "share of the names in the reference that the answer says"),
    "meteor": ("METEOR", "words in common, stemmed, in order"),
    "rouge_l": ("ROUGE-L", "longest common sequence of words"),
    "bleu": ("BLEU", "runs of one to four words in common"),
    "chrf": ("chrF++", "runs of letters in common"),
}
HEADLINE = {"know_test": "keyword_micro", "ling_test": "meteor"}  # the paper's metric of each source
SPLIT_TITLES = {
    "know_test": ("know", "What is this?", "short answers that name what is shown"),
    "ling_test": ("ling", "Describe it.", "descriptions in fluent sentences"),
}
SUBSETS = {"all": "All images", "seen": "Entities seen in training", "unseen": "Entities never seen"}
FAILURES = {  # rates in [0, 1]
    "wrong_script_rate": "in another script",
    "wrong_language_rate": "in another language",
    "repetition_rate": "looping",
    "empty_rate": "empty",
    "truncated_rate": "cut off at the limit",
}
FLAGS = {  # what makes an answer degenerate, as `mella_hf.metrics.degenerate` finds it
    "empty": "empty",
    "repetition": "repetitive",
    "loop": "looping",
    "wrong_language": "in another language",
    "wrong_script": "in another script",
    "prompt_copy": "repeats the question",
}
GROUPS = {"category": "By category", "domain": "By site"}
