"""Whether two tokenizers give every token the same id: token-level distillation compares distributions over the same tokens."""

from __future__ import annotations

from typing import Any


def difference(teacher: Any, student: Any) -> str | None:
    """The first thing in which two tokenizers differ, as half a sentence; None when every token has the same id in both.

    The number of rows of an embedding says nothing: models of one family are padded to different sizes (151,936 and 152,064) around the
    same tokenizer, and other tokenizers of equal size hold other tokens. So the tokens themselves are compared.
    """
    theirs, mine = teacher.get_vocab(), student.get_vocab()
    by_id = {index: token for token, index in mine.items()}
    for token, index in sorted(theirs.items(), key=lambda entry: entry[1]):
        if by_id.get(index) != token:
            other = f"'{by_id[index]}'" if index in by_id else "nothing"
            return f"token {index:,} is {token!r} for the teacher and {other} for the student"
    if len(mine) != len(theirs):
        return f"the teacher has {len(theirs):,} tokens, the student {len(mine):,}"
    if teacher.eos_token_id != student.eos_token_id:
        return f"the end token is {teacher.eos_token!r} for the teacher and {student.eos_token!r} for the student"
    return None
