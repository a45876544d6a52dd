"""Make small real transformers models: ``python tests/tiny_transformers.py FOLDER``.

A BERT of one layer learns in seconds which characters are bad: ``bert`` with one label a text, ``multi`` with several,
``onnx`` exported from the first, and ``guard``, which generates the verdicts of a guard.
"""

import json
import shutil
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers import models as tokenizer_models

ALPHABET = "今天气很好我们去公园散步吧你是个坏蛋骗子加微信领红包赌场abcdefghijklmnopqrstuvwxyz，。！？"
BAD = {"insult": "坏", "advert": "赌"}
LABELS = ("fine", *BAD)


def tokenizer():
    """One token a character, with the special tokens of BERT."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {token: number for number, token in enumerate([*specials, *dict.fromkeys(ALPHABET)])}
    made = Tokenizer(tokenizer_models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(handle_chinese_chars=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    return made, len(vocabulary)


def train(model, batch):
    """Train until twenty batches in a row are known by heart; ``batch`` gives ids and truths of a step."""
    import torch

    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    calm = 0
    for step in range(1500):
        ids, truth = batch(step)
        loss = model(input_ids=ids, attention_mask=(ids != 0).long(), labels=truth).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        calm = calm + 1 if loss.item() < 0.02 else 0
        if calm == 20:
            return
    message = "it did not learn"
    raise AssertionError(message)


def random_chars(allowed, step, row, pick):
    """Three to thirteen of the allowed characters."""
    import torch

    return [allowed[i] for i in torch.randint(len(allowed), (3 + (step + row) % 11,), generator=pick).tolist()]


def put_anywhere(chars, bad, pick):
    """Replace one character, no matter which."""
    import torch

    chars[int(torch.randint(len(chars), (1,), generator=pick))] = bad


def make_bert(folder, *, positions=16, seed=1):
    """Train a BERT of one layer on ``LABELS`` and save it as transformers does, with a tokenizer.json."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    made, size = tokenizer()
    config = BertConfig(
        vocab_size=size,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=positions,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
        problem_type="single_label_classification",
    )
    model = BertForSequenceClassification(config)
    pick = torch.Generator().manual_seed(seed)
    plain = [char for char in dict.fromkeys(ALPHABET) if char not in BAD.values()]

    def batch(step):
        rows, truths = [], []
        for row in range(16):
            chars = random_chars(plain, step, row, pick)
            label = row % len(LABELS)
            if label:
                put_anywhere(chars, BAD[LABELS[label]], pick)
            rows.append(made.encode("".join(chars)).ids)
            truths.append(label)
        width = max(map(len, rows))
        return torch.tensor([row + [0] * (width - len(row)) for row in rows]), torch.tensor(truths)

    train(model, batch)
    folder.mkdir(parents=True, exist_ok=True)
    model.eval().save_pretrained(folder)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": positions}), encoding="utf-8")
    return folder


def make_multi(folder, target):
    """Save the same weights as a model whose labels do not exclude each other."""
    shutil.copytree(folder, target)
    path = target / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"problem_type": "multi_label_classification"}
    path.write_text(json.dumps(config), encoding="utf-8")


def make_guard(folder):
    """Train a generating model that answers as Llama Guard does, one token a verdict; save it with a chat template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(1)
    made, _ = tokenizer()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", bos_token="[CLS]", eos_token="[SEP]", pad_token="[PAD]"
    )
    verdicts = ["safe", "unsafe\nS10"]
    wrapped.add_tokens([AddedToken(verdict, normalized=False) for verdict in verdicts])
    safe, unsafe = wrapped.convert_tokens_to_ids(verdicts)
    wrapped.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}！"
    config = LlamaConfig(
        vocab_size=len(wrapped),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=wrapped.bos_token_id,
        eos_token_id=wrapped.eos_token_id,
        pad_token_id=wrapped.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    pick = torch.Generator().manual_seed(1)
    plain = [char for char in dict.fromkeys(ALPHABET) if char not in "坏！abcdefghijklmnopqrstuvwxyz"]

    def batch(step):
        rows, truths = [], []
        for row in range(16):
            chars = random_chars(plain, step, row, pick)
            if row % 2:
                put_anywhere(chars, "坏", pick)
            rows.append(wrapped("".join([*chars, "！"]), add_special_tokens=False)["input_ids"])
            truths.append(unsafe if row % 2 else safe)
        width = max(map(len, rows)) + 2
        ids = torch.zeros((16, width), dtype=torch.int64)
        labels = torch.full((16, width), -100)
        for number, (row, truth) in enumerate(zip(rows, truths, strict=True)):
            full = [*row, truth, wrapped.eos_token_id]
            ids[number, : len(full)] = torch.tensor(full)
            labels[number, len(row) : len(full)] = torch.tensor(full[-2:])
        return ids, labels

    train(model, batch)
    model.eval().save_pretrained(folder)
    wrapped.save_pretrained(folder)


def export(folder, target):
    """Export a saved model to ONNX, with the files that an export has and nothing else."""
    import warnings

    import torch
    from transformers import BertForSequenceClassification

    target.mkdir(exist_ok=True)
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    model.config.return_dict = False
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "tokens"} for name in names} | {"logits": {0: "batch"}}
    example = tuple(torch.ones((2, 8), dtype=torch.int64) for _ in names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own age
        torch.onnx.export(
            model, example, str(target / "model.onnx"), input_names=names, output_names=["logits"],
            dynamic_axes=axes, dynamo=False,
        )  # fmt: skip
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / name, target / name)
    return target


def main(target):
    """Make all of them."""
    make_bert(target / "bert")
    make_multi(target / "bert", target / "multi")
    export(target / "bert", target / "onnx")
    make_guard(target / "guard")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
