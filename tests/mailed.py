"""What arrives of an ending: the template's rule, and the local AWS's way of filling it in."""

import json
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from deployer.tell import DETAIL_TYPE, SOURCE
from local import transformers
from local.cloud import ROOT

RESOURCES = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]


def transformer(target: str) -> dict[str, Any]:
    """Of the target with that id: Email, Topic, Chat."""
    targets = [each["Fn::If"][1] for each in RESOURCES["EndingsRule"]["Properties"]["Targets"]]
    (found,) = [each["InputTransformer"] for each in targets if each["Id"] == target]
    return dict(found)


def arrived(target: str, detail: dict[str, Any]) -> str:
    """What that target gets of the event."""
    event = {
        "version": "0",
        "id": "8f3a1c2e-0000-4000-8000-000000000001",
        "detail-type": DETAIL_TYPE,
        "source": SOURCE,
        "account": "123456789012",
        "time": "2026-01-05T12:00:00Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": json.loads(json.dumps(detail)),
    }
    rule = "arn:aws:events:eu-west-1:123456789012:rule/endings"
    return transformers.transformed(transformer(target), event, rule, "endings")
