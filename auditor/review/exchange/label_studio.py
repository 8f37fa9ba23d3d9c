"""Label Studio's JSON: tasks with ``data``, the teacher's answers as ``predictions``, people's as ``annotations``.

One task a card; the label is a single choice named 'label' to the text named 'text'. See https://labelstud.io/guide/task_format.
"""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import quoteattr

from auditor.review.answers import NOTHING
from auditor.review.desk import reasons_of
from auditor.review.frame import LabelFrame
from auditor.review.rounds import TARGETED
from auditor.review.tables import ItemRow
from distill.store import Run

SKIP = "skip"
FROM, TO = "label", "text"


def labelling_config(frame: LabelFrame, definitions: dict[str, str]) -> str:
    """The XML that tells Label Studio what to show and ask; paste it into the project's settings."""
    choices = "\n".join(
        f"    <Choice value={quoteattr(name)} hint={quoteattr(definitions.get(name, name))}/>"
        for name in (*frame.labels, NOTHING[frame.unit])
    )
    reasons = "\n".join(f"    <Choice value={quoteattr(reason)}/>" for reason in reasons_of(frame.unit))
    written = frame.unit == "answers"
    answer = '  <Text name="answer" value="$answer"/>\n' if written else ""
    edit = f'  <TextArea name="edit" toName="{TO}" maxSubmissions="1"/>\n' if written else ""
    return (
        f'<View>\n  <Text name="text" value="$text"/>\n  <Text name="pair" value="$pair"/>\n{answer}'
        f'  <Choices name="{FROM}" toName="{TO}" choice="single" required="true">\n{choices}\n  </Choices>\n'
        f'  <Choices name="reason" toName="{TO}" choice="single">\n{reasons}\n  </Choices>\n'
        f'{edit}  <TextArea name="note" toName="{TO}"/>\n</View>\n'
    )


def dump(run: Run, frame: LabelFrame, items: list[ItemRow], decisions: list[dict[str, Any]]) -> bytes:
    """Tasks of the round. Cards of the probability sample carry no prediction: they are decided blind."""
    said: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for each in decisions:
        if each["role"] == "reviewer":
            said.setdefault((each["round"], each["row_id"]), []).append(each)
    tasks = [_task(run, frame, item, said.get((item.round, item.row_id), [])) for item in items]
    return (json.dumps(tasks, indent=1, ensure_ascii=True) + "\n").encode()


def _task(run: Run, frame: LabelFrame, item: ItemRow, said: list[dict[str, Any]]) -> dict[str, Any]:
    card = frame.card(item.row_index)
    data = {
        "text": card.text,
        "pair": card.pair or "",
        "row_id": card.row_id,
        "run": run.id,
        "queue": item.queue,
        "synthetic": True,
        "teacher_id": frame.teacher_id(),
    }
    if card.answer is not None:
        data["answer"] = card.answer
    predictions = []
    if item.queue == TARGETED and card.answer is None:
        result = [_choice(FROM, frame.labels[card.label])]
        predictions = [{"model_version": frame.teacher_id(), "score": card.probs[card.label], "result": result}]
    return {
        "id": item.id,
        "data": data,
        "predictions": predictions,
        "annotations": [_annotation(each) for each in said],
        "meta": {"synthetic": True},
    }


def _annotation(said: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "completed_by": {"email": said["reviewer"]},
        "created_at": said["at"],
        "was_cancelled": said["label"] == SKIP,
        "result": [] if said["label"] == SKIP else [_choice(FROM, said["label"])],
    }
    if said["reason"]:
        made["result"].append(_choice("reason", said["reason"]))
    for name in ("edit", "note"):
        if said.get(name):
            written = {"from_name": name, "to_name": TO, "type": "textarea", "value": {"text": [said[name]]}}
            made["result"].append(written)
    return made


def _choice(name: str, value: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": TO, "type": "choices", "value": {"choices": [value]}}


def read(tasks: Any) -> list[tuple[int, dict[str, Any]]]:
    """Rows (row_id, label, edit, reason, note, reviewer) of a Label Studio export, one an annotation, each with the number of its task from
    1; a problem is a row with 'problem'.

    Raises:
        ValueError: it is not a list of tasks.
    """
    if not isinstance(tasks, list):
        raise ValueError("a Label Studio export is a list of tasks")
    return [(number, row) for number, task in enumerate(tasks, start=1) for row in _of_task(task)]


def _of_task(task: Any) -> list[dict[str, Any]]:
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(data, dict) or "row_id" not in data:
        return [{"problem": "the task has no data.row_id"}]
    annotations = task.get("annotations") or task.get("completions") or []
    if not isinstance(annotations, list):
        return [{"problem": "'annotations' is not a list"}]
    return [{"row_id": data["row_id"], **_of_annotation(each)} for each in annotations]


def _of_annotation(annotation: Any) -> dict[str, Any]:
    if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
        return {"problem": "the annotation has no 'result' list"}
    row: dict[str, Any] = {"reviewer": _who(annotation.get("completed_by"))}
    if annotation.get("was_cancelled"):
        return {**row, "label": SKIP}
    for piece in annotation["result"]:
        value = piece.get("value") if isinstance(piece, dict) else None
        if not isinstance(value, dict):
            return {"problem": "a result has no 'value'"}
        name = piece.get("from_name", FROM)
        chosen = value.get("choices") or value.get("text") or []
        chosen = [chosen] if isinstance(chosen, str) else chosen
        if name in {"note", "edit"}:
            row[name] = (" " if name == "note" else "\n").join(str(each) for each in chosen)
        elif len(chosen) != 1:
            return {"problem": f"'{name}' has {len(chosen)} choices instead of one"}
        elif name == "reason":
            row["reason"] = chosen[0]
        else:
            row["label"] = chosen[0]
    return row if "label" in row else {"problem": "the annotation has no label"}


def _who(by: Any) -> str:
    """Label Studio writes a user as a number, or as an object with an e-mail."""
    if isinstance(by, dict):
        return str(by.get("email") or by.get("username") or by.get("id") or "")
    return "" if by is None else f"label-studio user {by}"
