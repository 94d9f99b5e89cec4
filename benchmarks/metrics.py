"""How fast the metric is, against rouge_score, nltk's METEOR and sacrebleu on the same tokens in the same run.

    python benchmarks/metrics.py [--json] [--pairs 10000] [--peer-pairs 200]

Bars: ROUGE-L at least 300 times as fast a pair as rouge_score, METEOR at least 3 times as fast as nltk's, both in CPU
seconds; the whole metric (tokenisation, floors, flags, intervals included, on all cores) on 10,000 pairs of 258 tokens
at least 10 times as fast as the peers together, in seconds on the clock, since using the cores is part of it (in CPU
seconds it is printed beside it); peak memory less than double what 1,000 pairs take. Exit status 1 when one is missed.

    python benchmarks/metrics.py --lines 1000000

`mella score` on a file of so many lines of 6 to 14 words with an id, keywords, answer and reference: the
peak memory of its largest process. Bar: under 1,000 MB.

The texts are made of real sentence lengths but invented words (Zipf's law over 20,000 forms, half of each answer taken
from its reference in runs), so that no text has to be shipped. Peers get finished tokens and are timed
on a part of the pairs, since all of them would take an hour.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time

TOKENS = 258  # of a `ling` caption, on average
MOST_MEGABYTES = 1000  # of a million lines
BARS = {"rouge_l": 300.0, "meteor": 3.0, "whole": 10.0}


def make_pairs(count: int, seed: int = 1) -> tuple[list[str], list[str]]:
    """`count` answers and references of 258 Czech-looking words each."""
    draw = random.Random(seed)
    onsets, vowels = "p t k b d v s z m n l r š ž č j h".split(), "a e i o u á í ě".split()
    words = sorted(
        {"".join(draw.choice(onsets) + draw.choice(vowels) for _ in range(draw.randint(1, 4))) for _ in range(40000)}
    )
    draw.shuffle(words)
    words = words[:20000]
    weights = [1.0 / (rank + 3) for rank in range(len(words))]
    predictions, references = [], []
    for _ in range(count):
        reference = draw.choices(words, weights, k=TOKENS)
        prediction: list[str] = []
        while len(prediction) < TOKENS:
            run, at = draw.randint(1, 6), draw.randrange(TOKENS)
            prediction += reference[at : at + run] if draw.random() < 0.5 else draw.choices(words, weights, k=run)
        predictions.append(" ".join(prediction[:TOKENS]))
        references.append(" ".join(reference))
    return predictions, references


def timed(work) -> float:  # type: ignore[no-untyped-def]
    """CPU seconds of one call in this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def cpu_seconds() -> float:
    """CPU seconds of this process and its finished children."""
    return sum(os.times()[:4])


class SplitTokenizer:
    """rouge_score's tokenizer interface on finished tokens."""

    def tokenize(self, text: str) -> list[str]:
        return text.split()


def peers(predictions: list[str], references: list[str], stems: dict[str, str]) -> dict[str, float]:
    """CPU seconds a pair of each peer, and of our ROUGE-L and METEOR on the same tokens."""
    from nltk.translate.meteor_score import single_meteor_score
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU, CHRF

    from mella_hf.metrics.scores.meteor import NoWordNet, StemTable, meteor
    from mella_hf.metrics.scores.rouge_l import rouge_l
    from mella_hf.metrics.texts.vocabulary import Vocabulary

    n = len(predictions)
    pairs = list(zip(predictions, references, strict=True))
    scorer = RougeScorer(["rougeL"], tokenizer=SplitTokenizer())
    tokens = [(p.split(), r.split()) for p, r in pairs]
    bleu, chrf = BLEU(tokenize="none", force=True), CHRF(word_order=2)
    stemmer, wordnet = StemTable(stems), NoWordNet()
    clock = time.perf_counter()
    seconds = {
        "rouge_score": timed(lambda: [scorer.score(r, p) for p, r in pairs]),
        "nltk_meteor": timed(
            lambda: [single_meteor_score(r, p, preprocess=str, stemmer=stemmer, wordnet=wordnet) for p, r in tokens]
        ),
        "sacrebleu_bleu": timed(lambda: bleu.corpus_score(predictions, [references])),
        "sacrebleu_chrf": timed(lambda: chrf.corpus_score(predictions, [references])),
    }
    seconds["peers_whole_clock"] = time.perf_counter() - clock
    vocabulary = Vocabulary()
    coded = [
        [vocabulary.encode(words) for words in (p, r, [stems[w] for w in p], [stems[w] for w in r])] for p, r in tokens
    ]
    lists = [(p.tolist(), r.tolist()) for p, r, _, _ in coded]
    rouge_l(*lists[0])  # imports
    seconds["our_rouge_l"] = timed(lambda: [rouge_l(p, r) for p, r in lists])
    seconds["our_meteor"] = timed(lambda: [meteor(*four) for four in coded])
    return {name: value / n for name, value in seconds.items()}


def peak_megabytes() -> float:
    """Peak resident memory of this process and its largest finished child."""
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + children) / 1024


def run(count: int, peer_count: int) -> dict[str, float]:
    """All measurements."""
    from mella_hf.metrics import MellaMetric
    from mella_hf.text.tokens import analyze, stem

    predictions, references = make_pairs(count)
    words = sorted({w for text in predictions[:peer_count] + references[:peer_count] for w in text.split()})
    result = peers(predictions[:peer_count], references[:peer_count], dict(zip(words, stem(words, "cs"), strict=True)))
    sample = predictions[:500]
    result["tokenise"] = 2 * timed(lambda: [analyze(text, "cs").stems for text in sample]) / len(sample)
    metric = MellaMetric("cs", progress=False)
    options = {"check_references": False}
    few = min(1000, count)
    metric.compute(predictions=predictions[:few], references=references[:few], **options)
    result["megabytes_1000"] = peak_megabytes()
    clock, cpu = time.perf_counter(), cpu_seconds()
    metric.compute(predictions=predictions, references=references, **options)
    result["our_whole_clock"] = (time.perf_counter() - clock) / count
    result["our_whole"] = (cpu_seconds() - cpu) / count
    result["megabytes_all"] = peak_megabytes()
    result["peers_whole"] = sum(result[k] for k in ("rouge_score", "nltk_meteor", "sacrebleu_bleu", "sacrebleu_chrf"))
    return result


def score_lines(count: int) -> float:
    """Peak MB of `mella score` on `count` lines: of the largest of its processes."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "answers.jsonl")
        draw = random.Random(2)
        words = sorted({word for text in make_pairs(200)[1] for word in text.split()})
        with open(path, "w", encoding="utf-8") as file:
            for at in range(count):
                reference = draw.choices(words, k=draw.randint(6, 14))
                prediction = [word if draw.random() < 0.6 else draw.choice(words) for word in reference]
                name = reference[0].capitalize()
                row = {
                    "id": f"{at:064x}",
                    "prediction": " ".join(prediction),
                    "reference": " ".join([name, *reference]),
                }
                file.write(json.dumps(row | {"keywords": [name]}, ensure_ascii=False) + "\n")
        call = [sys.executable, "-m", "mella_hf", "score", path, "--language", "cs", "--no-check-references"]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=10000)
    parser.add_argument("--peer-pairs", type=int, default=200)
    parser.add_argument("--lines", type=int, help="measure the memory of scoring a file of so many lines instead")
    arguments = parser.parse_args()
    if arguments.lines:
        megabytes = score_lines(arguments.lines)
        passed = megabytes < MOST_MEGABYTES
        if arguments.json:
            print(json.dumps({"lines": arguments.lines, "megabytes": megabytes, "passed": passed}))
        else:
            print(f"{arguments.lines:,} lines: {megabytes:,.0f} MB (bar {MOST_MEGABYTES:,})")
            print("passed" if passed else "MISSED")
        return 0 if passed else 1
    measured = run(arguments.pairs, arguments.peer_pairs)
    ratios = {
        "rouge_l": measured["rouge_score"] / measured["our_rouge_l"],
        "meteor": measured["nltk_meteor"] / measured["our_meteor"],
        "whole": measured["peers_whole_clock"] / measured["our_whole_clock"],
        "whole_cpu": measured["peers_whole"] / measured["our_whole"],
    }
    flat = measured["megabytes_all"] < 2 * measured["megabytes_1000"]
    passed = flat and all(ratios[name] >= bar for name, bar in BARS.items())
    if arguments.json:
        print(json.dumps({"measured": measured, "ratios": ratios, "bars": BARS, "passed": passed}))
    else:
        for name, value in measured.items():
            print(
                f"{name:18} {value:10.1f} MB" if name.startswith("mega") else f"{name:18} {1e3 * value:10.3f} ms a pair"
            )
        for name, ratio in ratios.items():
            print(f"{name:18} {ratio:10.1f} x" + (f" (bar {BARS[name]:.0f})" if name in BARS else ""))
        print("passed" if passed else "MISSED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
