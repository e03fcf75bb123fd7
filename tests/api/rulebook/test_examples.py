"""The examples of the rulebook, of contacts and of work orders in the document are true."""

from typing import Any

import pytest
from pydantic import BaseModel

from api.notifications import contact_routes
from api.notifications.contacts import TargetPage, TurnPage
from api.orders.routes import PEOPLE, PHOTO, Assignees, Photos
from api.rulebook import bodies, examples, keeping


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (bodies.WindowPage, examples.WINDOWS),
        (bodies.OverridePage, examples.OVERRIDES),
        (bodies.CustomRulePage, examples.CUSTOM_RULES),
        (bodies.Checked, examples.CHECKED),
        (bodies.Trial, examples.TRIAL),
        (bodies.Trial, examples.TRIAL_BEGUN),
        (TargetPage, contact_routes.TARGETS),
        (TurnPage, contact_routes.TURNS),
        (Photos, {"items": [PHOTO]}),
        (Assignees, PEOPLE),
    ],
)
def test_an_example_fits_its_model(model: type[BaseModel], example: dict[str, Any]) -> None:
    assert model.model_validate(example).model_dump(mode="json") == example


def test_the_rule_that_the_form_begins_with_is_right_and_its_mistake_is_the_documented_one() -> None:
    rule, mistake = keeping.wrong(examples.TEXT)
    assert rule is not None, mistake
    _, mistake = keeping.wrong(examples.TEXT.replace("cabinet_temp_degc", "cabinet_tmp_degc"))
    shown = bodies.MistakeText.model_validate(mistake, from_attributes=True)
    assert shown.model_dump() == examples.CHECKED["mistake"]
