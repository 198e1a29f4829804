"""The trainer for a large GPU learns from what the worker shows, and computes the model that the worker loads."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from dialogue.process.settings import INSTRUCTION
from training import release
from training.bulk import contrast, publish, rows, run, tokens
from training.bulk.model import Glm, Size, agree, dense
from training.bulk.muon import Optimiser
from training.core import muon
from training.core.shape import Shape, build
from training.data import corpus, windows
from training.data.encoding import Encoder
from training.data.packing import Weights
from worker.model.find import BUNDLED
from worker.tokenizer import load_tokenizer

SMALL = Size(width=32, layers=2, heads=2, groups=1, head_width=16, feed_forward=48, dropout=0.0)
LENGTH = 1024


@pytest.fixture(scope="module")
def encoded(corpus_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bulk") / "tokens.npz"
    tokens.main([str(corpus_directory), str(BUNDLED), str(file)])
    return file


def test_windows_and_ids_are_those_of_the_served_prompt(encoded: Path, corpus_directory: Path) -> None:
    told = tokens.read(encoded)
    encoder = Encoder(tokenizer=load_tokenizer(BUNDLED, has_prefix=True), instruction=INSTRUCTION, end_id=2)
    filler = rows.Filler(told, told.train, rows.Form(4, LENGTH, 0.5, 0.0))
    table = Weights(frame=0.0, client=0.5, reply=1.0).table()
    for number, dialogue in enumerate(corpus.load(corpus_directory).train):
        mine = list(rows.served(told.train, number, instruction=told.instruction, opening=told.opening))
        wanted = list(windows.served(dialogue, instruction=INSTRUCTION))
        assert len(mine) == len(wanted)
        for window, published in zip(mine, wanted, strict=True):
            ids, weights = filler.encode(window)
            expected = encoder.encode(published)
            assert ids.tolist() == expected.ids[:LENGTH]
            assert weights.tolist() == table[torch.tensor(expected.parts)].tolist()[:LENGTH]


def test_a_blind_window_leaves_the_last_words_out_and_keeps_the_reply(encoded: Path) -> None:
    told = tokens.read(encoded)
    filler = rows.Filler(told, told.train, rows.Form(4, LENGTH, 0.5, 1.0))
    (window, *_) = rows.served(told.train, 0, instruction=told.instruction, opening=told.opening)
    seeing, _ = filler.encode(window)
    blind, _ = filler.encode(window._replace(is_blind=True))
    last = 2 * (window.stop - 1)
    text = told.train.ids[told.train.starts[last] : told.train.starts[last] + told.train.sizes[last]].tolist()
    assert len(seeing) - len(blind) == len(text)
    assert text not in [blind.tolist()[start : start + len(text)] for start in range(len(blind))]
    assert rows.blinded([window], 1.0, random.Random(1))[0].is_blind


def test_rows_hold_every_window_once_and_nothing_is_learned_across_two(encoded: Path) -> None:
    told = tokens.read(encoded)
    form = rows.Form(2, LENGTH, 0.5, 0.0)
    chosen = [
        window
        for dialogue in range(len(told.held_out))
        for window in rows.served(told.held_out, dialogue, instruction=told.instruction, opening=told.opening)
    ]
    filler = rows.Filler(told, told.held_out, form)
    laid = list(filler.rows(chosen, random.Random(1)))
    learned = sum(float(one.weights.sum()) for one in laid)
    assert learned == pytest.approx(sum(float(filler.encode(window)[1].sum()) for window in chosen))
    for one in laid:
        assert one.sizes.sum() == one.ids.size
        assert not one.weights[one.places == 0].any()


def test_the_model_is_the_one_that_transformers_computes(encoded: Path) -> None:
    told = tokens.read(encoded)
    reference = _reference()
    model = Glm(SMALL, dense, dtype=torch.float32)
    model.load_state_dict({name: value for name, value in reference.state_dict().items() if name != "lm_head.weight"})
    filler = rows.Filler(told, told.train, rows.Form(1, LENGTH, 1.0, 0.0))
    pair = [
        next(rows.served(told.train, number, instruction=told.instruction, opening=told.opening)) for number in (0, 1)
    ]
    ids, _, layout = run.batch(next(filler.rows(pair)), torch.device("cpu"))
    found = model(ids, ids.roll(-1, 1), layout)[0]
    for number in range(2):
        own = (layout.windows[0] == number).nonzero().flatten()
        logits = reference(ids[:, own]).logits[0, :-1]
        wanted = torch.nn.functional.cross_entropy(logits, ids[0, own[1:]], reduction="none")
        assert torch.allclose(found[own[:-1]], wanted, atol=1e-4)


def test_a_way_to_attend_that_looks_across_windows_is_found_out() -> None:
    agree(dense, torch.device("cpu"))
    with pytest.raises(ValueError, match="differs"):
        agree(
            lambda query, key, value, layout: dense(
                query, key, value, layout._replace(windows=torch.zeros_like(layout.windows))
            ),
            torch.device("cpu"),
        )


def test_matrices_together_learn_what_each_learns_alone() -> None:
    ours, theirs = (Glm(SMALL, dense, dtype=torch.float32) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    together = Optimiser(dict(ours.named_parameters()), rate=0.02, plain_rate=0.004, decay=0.1)
    alone = muon.Optimiser(dict(theirs.named_parameters()), rate=0.02, plain_rate=0.004, decay=0.1, clip=1.0)
    for seed in range(3):
        for model in (ours, theirs):
            torch.manual_seed(seed)
            for weights in model.parameters():
                weights.grad = torch.randn_like(weights)
        together.step(1.0)
        alone.step(1.0)
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (mine - other).norm() < 0.05 * other.norm(), name  # ours in bfloat16


def test_a_run_learns_and_its_model_is_one_that_the_worker_loads(encoded: Path, tmp_path: Path) -> None:
    shape = [f"--{name.replace('_', '-')}={getattr(SMALL, name)}" for name in Size.__annotations__]
    options = ["--rows=1", "--seconds=4", "--contrast-seconds=1", "--processes=1", "--measured=2", "--eager"]
    run.main([str(encoded), str(tmp_path / "run"), *options, *shape])
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry for entry in log if "held_out" in entry]
    publish.publish(tmp_path / "run/model.pt", BUNDLED, tmp_path / "model", head_width=16, guidance=1.5)
    config = json.loads((tmp_path / "model/generation_config.json").read_text(encoding="utf-8"))
    assert config["guidance_scale"] == 1.5
    loaded = release.read(tmp_path / "model", dtype=torch.bfloat16, device=torch.device("cpu"))
    saved = torch.load(tmp_path / "run/model.pt")
    assert all(torch.equal(weights, saved[name]) for name, weights in loaded.named_parameters())


def test_a_pair_shares_its_prompt_and_differs_in_the_reply_alone(encoded: Path) -> None:
    told = tokens.read(encoded)
    packed, owner, count = next(contrast.pairs(told, rows=4, length=LENGTH, seed=1))
    assert count % 2 == 0
    places = np.take_along_axis(owner, packed.windows.astype(np.int64), axis=1)
    for first in range(0, count, 2):
        (chosen, weights), (rejected, _) = (
            (packed.ids[places == number], packed.weights[places == number]) for number in (first, first + 1)
        )
        prompt = int((weights > 0).argmax())
        assert chosen[:prompt].tolist() == rejected[:prompt].tolist()


def _reference() -> torch.nn.Module:
    shape = Shape(width=32, layers=2, heads=2, groups=1, head_width=16, feed_forward=48)
    model = build(shape, vocabulary=8192, end_ids=[2, 6], pad_id=1, seed=1)
    with torch.no_grad():
        for weights in model.parameters():
            weights.normal_(std=0.1)
    model.train(mode=False)
    return model
