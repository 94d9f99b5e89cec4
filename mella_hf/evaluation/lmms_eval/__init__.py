"""MELLA as tasks of lmms-eval: lmms-eval runs the model, `MellaMetric` scores the answers.

    pip install 'mella_hf[metrics]' lmms-eval==0.7.3
    python -m lmms_eval --include_path "$(python -m mella_hf.evaluation.lmms_eval)" --tasks mella_ar --model ...

The module's command writes the folder for `--include_path` and prints its path. The folder has one YAML per task,
`mella_{language}_{source}`, with only what is special about that task; `_know_yaml` and `_ling_yaml` of `common/` hold
what each source adds, and `_mella_yaml` the rest. It has the languages whose prompts speakers wrote, and your own
(`MELLA_LANGUAGES`); `--languages yo,fa` names others. The tags `mella`,
`mella_know`, `mella_ling` and `mella_{language}` select many tasks at once. See docs/lmms_eval.md.
"""
