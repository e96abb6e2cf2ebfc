"""Names that users gave, with any mark and in any form, are found; words with a role keep it."""

import unicodedata

import pytest

from pipelines.answer.parsing.names import fold
from pipelines.answer.parsing.read import is_understood, read_question

NAMES = [
    "kid's bike", "Dr. Who", "C++", "R&D", "A/C", "50%", "(red)", "node.js", "🐶", "❤️", "$", "$5 bill", "#1 fan",
    "日本", "café", "Straße", "İstanbul", "person in black", "back door", "Lady in red", "second dog", "the little one",
    "left", "first", "red", "last", "7", "time", "video", "no", "a", "what?", "!", "0:05", "Paris, Texas",
    'the "big" one', "naïve", "two", "before noon", "dog or cat", "x" * 200,
]  # fmt: skip
ASKED = ["when did {} appear?", "was the {} visible?", "how long was {} there", "Where was {}?", "did you see {}?"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("question", ASKED)
def test_a_name_is_found(name, question):
    query = read_question(question.format(name), [name, "Someone else"])
    assert query.subject is not None and query.subject.label == name, query
    assert is_understood(query)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("name", ["café", "Ångström", "Señor Ｒｅｘ", "서울"])
def test_a_name_is_found_in_any_unicode_form(name, form):
    for label, asked in ((name, unicodedata.normalize(form, name)), (unicodedata.normalize(form, name), name)):
        query = read_question(f"when did the {asked.upper()} appear?", [label])
        assert query.subject is not None and query.subject.label == label


@pytest.mark.parametrize(
    ("label", "asked"),
    [
        ("kid's bike", "kid’s bike"),
        ("kid’s bike", "kids bike"),
        ("Dr. Who", "dr who"),
        ("node.js", "NODE JS"),
        ("back-door", "back door"),
        ("back  door", "back door"),
    ],
)
def test_marks_may_be_left_out(label, asked):
    assert read_question(f"was the {asked} there?", [label]).subject.label == label


def test_the_longest_name_wins():
    labels = ["Who", "Dr. Who", "Dr."]
    assert read_question("was Dr. Who there?", labels).subject.label == "Dr. Who"
    assert read_question("was Who there?", labels).subject.label == "Who"


def test_one_name_is_not_taken_for_another():
    assert read_question("was C visible?", ["C++"]).subject is None
    assert read_question("was C++ visible?", ["C", "C++"]).subject.label == "C++"
    assert read_question("was C visible?", ["C", "C++"]).subject.label == "C"
    assert read_question("was 5 visible?", ["$5 bill"]).subject is None


@pytest.mark.parametrize(
    ("label", "question", "expected"),
    [
        ("left", "was the dog on the left?", {"region": ("left",), "subject": {"dog"}}),
        ("left", "when did the dog leave?", {"verb": "leave", "subject": {"dog"}}),
        ("first", "when did the dog first appear?", {"which": "first", "subject": {"dog"}}),
        ("red", "was the car red?", {"colour_asked": "red", "subject": {"car"}}),
        ("7", "was there a dog at 7 seconds?", {"subject": {"dog"}}),
        ("video", "how long is the video?", {"kind": "video_length"}),
        ("a", "was there a dog?", {"subject": {"dog"}}),
        ("?", "was there a dog?", {"subject": {"dog"}}),
        ("dog", "was there a dog?", {"subject": {"dog"}}),
    ],
)
def test_words_with_a_role_keep_it(label, question, expected):
    query = read_question(question, [label])
    for name, value in expected.items():
        have = getattr(query, name)
        assert (have.classes if name == "subject" else have) == value


def test_two_names_are_told_as_the_user_wrote_them():
    query = read_question("was Dr. Who barking at C++?", ["Dr. Who", "C++"])
    assert "C++" in query.unknown and not any("username" in word for word in query.unknown)


def test_a_question_cannot_name_by_the_inner_word():
    assert read_question("was usernamea there?", ["Dr. Who"]).subject is None


@pytest.mark.parametrize("text", ["", " ", "É", "ﬁ", "Ｗide", "²", "🐶"])
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)
