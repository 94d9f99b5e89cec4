"""MELLA as tasks of lmms-eval: any model that it can run answers our prompts, and `MellaMetric` scores the answers.

    pip install 'mella_hf[metrics]' lmms-eval==0.7.3
    python -m lmms_eval --include_path "$(python -m mella_hf.evaluation.lmms_eval)" --tasks mella_ar --model ...

This folder is what `--include_path` takes: a YAML a task, `mella_{language}_{source}`, which says what sets it apart;
`_know_yaml` and `_ling_yaml` what each source adds; `_mella_yaml` all the rest. The tags `mella`, `mella_know`,
`mella_ling` and `mella_{language}` name many tasks at once. See docs/lmms_eval.md.
"""
