"""stub"""

from pydantic import JsonValue

from trainer.base.strict_model import StrictModel


class OwnModel(StrictModel):
    config: dict[str, JsonValue]

    @property
    def label(self):
        return "own"


def own_model_problems(config):
    return []
