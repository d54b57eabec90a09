"""Settings come from the environment alone, and a wrong one is named."""

import pytest

from api.settings import Settings
from model_registry.settings import BadSetting, read_settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings(Settings, {}) == Settings(model_registry="var/registry", host="127.0.0.1", port=8000)


def test_variables_are_read_by_their_names_in_capitals() -> None:
    assert read_settings(Settings, {"MODEL_REGISTRY": "/models", "PORT": "9000", "OTHER": "x"}) == Settings(
        model_registry="/models", port=9000
    )


@pytest.mark.parametrize("port", ["eighty", "0", "65536", "80.5"])
def test_a_wrong_value_is_refused_by_the_variables_name(port: str) -> None:
    with pytest.raises(BadSetting, match=f"PORT='{port}' cannot be used"):
        read_settings(Settings, {"PORT": port})
