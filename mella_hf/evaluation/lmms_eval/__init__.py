"""MELLA as tasks of lmms-eval: lmms-eval runs the model, `MellaMetric` scores the answers.

    pip install 'mella_hf[metrics]' lmms-eval==0.7.3
    python -m lmms_eval --include_path "$(python -m mella_hf.evaluation.lmms_eval)" --tasks mella_ar --model ...

Pass this folder to `--include_path`. It has one YAML per task, `mella_{language}_{source}`, with only what is special
about that task; `_know_yaml` and `_ling_yaml` hold what each source adds, and `_mella_yaml` the rest. The tags `mella`,
`mella_know`, `mella_ling` and `mella_{language}` select many tasks at once. See docs/lmms_eval.md.
"""
