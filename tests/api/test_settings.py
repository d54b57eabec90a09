"""Settings come from the environment alone, and a wrong one is named."""

import pytest

from api.settings import Settings
from model_registry.settings import BadSetting, read_settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings(Settings, {}) == Settings()


def test_variables_are_read_by_their_names_in_capitals() -> None:
    given = {"MODEL_REGISTRY": "/models", "PORT": "9000", "ACCESS_LOG": "false", "OTHER": "x", "HOST": ""}
    assert read_settings(Settings, given) == Settings(model_registry="/models", port=9000, access_log=False)


def test_an_empty_variable_turns_off_what_may_be_off_and_counts_as_unset_elsewhere() -> None:
    settings = read_settings(Settings, {"PREDICTION_LOG": "", "MODEL_REGISTRY": "", "API_KEYS": ""})
    assert (settings.prediction_log, settings.model_registry, settings.keys()) == ("", "var/registry", ())
    assert read_settings(Settings, {}).prediction_log == "var/predictions"


def test_feedback_has_keys_of_its_own_or_those_of_everything() -> None:
    assert Settings(api_keys="a,b").keys_for_feedback() == ("a", "b")
    assert Settings(api_keys="a,b", feedback_keys="c").keys_for_feedback() == ("c",)
    assert Settings(feedback_keys="c").keys() == ()


def test_keys_and_origins_are_parted_by_commas() -> None:
    settings = Settings(api_keys=" a, b,,c ", cors_origins="")
    assert settings.keys() == ("a", "b", "c")
    assert settings.origins() == ()


def test_the_market_is_left_to_the_registry_unless_one_is_named() -> None:
    assert read_settings(Settings, {}).market is None
    assert read_settings(Settings, {"MARKET": "lisbon"}).market == "lisbon"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "80.5"),
        ("LOG_LEVEL", "loud"),
        ("BODY_LIMIT", "0"),
        ("MARKET", "New York"),
        ("MARKET", "../lisbon"),
        ("MARKET", "versions"),
    ],
)
def test_a_wrong_value_is_refused_by_the_variables_name(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"{name}='{value}' cannot be used"):
        read_settings(Settings, {name: value})


@pytest.mark.parametrize("name", ["MODEL_REGISTRY", "PREDICTION_LOG"])
def test_an_address_that_is_neither_a_folder_nor_a_store_is_refused_in_words(name: str) -> None:
    with pytest.raises(BadSetting, match=f"{name} cannot be used: http://host/x names no place that can be used"):
        read_settings(Settings, {name: "http://host/x"})
