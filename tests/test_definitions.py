"""The code location as Dagster loads it."""

import shutil
from pathlib import Path

import dagster as dg
import pytest
from dagster import Field
from dagster._config import ConfigType

from mle_assets.definitions import OWNER, defs, make_definitions
from mle_assets.models.candidates import NAMES
from mle_assets.resources import Settings, known_markets
from model_registry.market import NEW_YORK, BadMarket
from model_registry.settings import BadSetting, read_settings

DEFINITIONS = make_definitions(Settings())
GRAPH = DEFINITIONS.resolve_asset_graph()

MARKETS = Path(__file__).parents[1] / "markets"


def key(name: str) -> dg.AssetKey:
    return dg.AssetKey.from_user_string(name)


def test_dagster_can_load_everything() -> None:
    dg.Definitions.validate_loadable(defs())


@pytest.mark.parametrize(
    ("asset", "group", "made_from"),
    [
        ("raw_listings", "listings", set[str]()),
        ("listings", "listings", {"raw_listings"}),
        ("train_listings", "listings", {"listings"}),
        ("test_listings", "listings", {"listings"}),
        ("models/hist_gradient_boosting", "models", {"train_listings"}),
        ("models/boosting_and_forest", "models", {"train_listings"}),
        ("models/simple_classifier_300", "predecessor", {"train_listings"}),
        ("validation", "models", {"train_listings"}),
        ("evaluations/random_forest", "evaluation", {"models/random_forest", "validation", "test_listings"}),
        (
            "evaluations/simple_classifier_300",
            "predecessor",
            {"models/simple_classifier_300", "validation", "test_listings"},
        ),
        ("leaderboard", "evaluation", {"validation", *(f"evaluations/{name}" for name in NAMES)}),
        ("champion", "release", {"leaderboard", "train_listings", "test_listings"}),
        ("served_listings", "monitoring", {"api"}),
        ("drift", "monitoring", {"served_listings"}),
        ("live_performance", "monitoring", {"served_listings", "drift"}),
    ],
)
def test_an_asset_is_in_its_room_and_made_from_what_it_says(asset: str, group: str, made_from: set[str]) -> None:
    node = GRAPH.get(key(asset))
    assert node.group_name == group
    assert {parent.to_user_string() for parent in node.parent_keys} == made_from


def test_every_asset_has_an_owner_a_phase_a_kind_a_description_and_a_link_to_its_source() -> None:
    for asset in GRAPH.asset_nodes:
        assert asset.owners == [OWNER]
        assert asset.tags["phase"] in {"data", "training", "evaluation", "release", "monitoring"}, asset.key
        assert asset.kinds, asset.key
        assert asset.description, asset.key
        if asset.key != key("api"):
            [reference] = asset.metadata["dagster/code_references"].code_references
            assert Path(reference.file_path).is_file()


def test_the_api_which_no_job_makes_leads_from_the_champion_to_what_became_of_it() -> None:
    api = GRAPH.get(key("api"))
    assert (api.parent_keys, api.child_keys) == ({key("champion")}, {key("served_listings")})
    assert not api.is_materializable
    for job in ("training", "promotion", "train_and_promote", "monitoring"):
        assert key("api") not in made_by(job)


def made_by(job: str) -> set[dg.AssetKey]:
    return set(DEFINITIONS.resolve_job_def(job).asset_layer.executable_asset_keys)


def test_each_job_makes_its_part_of_the_graph() -> None:
    after = {key("served_listings"), key("drift"), key("live_performance")}
    everything = {node.key for node in GRAPH.asset_nodes if node.is_materializable}
    assert made_by("monitoring") == after
    assert made_by("promotion") == {key("champion")}
    assert made_by("training") == everything - after - {key("champion")}
    assert made_by("train_and_promote") == everything - after


def test_every_candidate_has_a_model_and_an_evaluation() -> None:
    for folder in ("models", "evaluations"):
        assert {k.path[1] for k in GRAPH.get_all_asset_keys() if k.path[0] == folder} == set(NAMES)


def test_every_asset_says_what_it_is() -> None:
    for asset in GRAPH.get_all_asset_keys():
        assert GRAPH.get(asset).description, asset


def test_every_job_sensor_and_schedule_says_what_it_is() -> None:
    repository = DEFINITIONS.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if job.name != "__ASSET_JOB"]
    for definition in (*jobs, *repository.sensor_defs, *repository.schedule_defs):
        assert definition.description, definition.name


@pytest.mark.parametrize("job", ["training", "promotion", "train_and_promote", "monitoring"])
def test_every_field_of_the_config_has_its_description_in_the_launchpad(job: str) -> None:
    schema = DEFINITIONS.resolve_job_def(job).run_config_schema.config_type
    described = 0
    for part in ("ops", "resources"):
        for name, node in fields(fields(schema)[part].config_type).items():
            for field, about in fields(fields(node.config_type)["config"].config_type).items():
                # The default IO manager is Dagster's own, and nothing here uses it.
                assert about.description or name == "io_manager", (name, field)
                described += 1
    assert described > 5


def fields(config_type: ConfigType) -> dict[str, Field]:
    return getattr(config_type, "fields", {})


def test_every_check_blocks_what_would_lie_without_it() -> None:
    # Nothing is made from the champion, and a person may have changed it on purpose. What became of it is told, too.
    told = ("the_registry_agrees", *AFTER_THE_FACT)
    checks = {check for check in GRAPH.asset_check_keys if check.name not in told}
    assert {check.name for check in checks} == {
        "listings_follow_their_schema",
        "enough_listings_are_kept",
        "listings_lie_in_their_market",
        "positions_are_precise",
        "positions_fit_their_neighbourhoods",
        "prices_can_be_read",
        "prices_are_plausible",
        "the_median_price_is_plausible",
        "amenities_are_lists",
        "most_amenities_are_told",
        "no_column_is_constant",
        "ids_keep_all_their_digits",
        "every_category_is_present",
        "halves_are_disjoint",
        "export_equals_scikit_learn",
        "leader_beats_the_majority_class",
    }
    assert all(GRAPH.get_check_spec(check).blocking for check in checks)


AFTER_THE_FACT = {
    "the_log_is_whole",
    "inputs_have_not_drifted",
    "the_champion_is_as_right_as_on_its_test_listings",
}


def test_every_check_ends_the_run_in_words() -> None:
    for check in DEFINITIONS.asset_checks or ():
        if not all(GRAPH.get_check_spec(key).blocking for key in check.check_keys):  # pyright: ignore
            continue
        function = check.node_def.compute_fn.decorated_fn  # pyright: ignore
        assert hasattr(function, "__wrapped__"), f"put @refusing between {function.__name__} and Dagster's decorator"


def test_the_sensors_run_and_what_trains_by_itself_waits_to_be_turned_on() -> None:
    repository = DEFINITIONS.get_repository_def()
    assert {sensor.name: sensor.default_status.value for sensor in repository.sensor_defs} == {
        "promote_best_model": "RUNNING",
        "new_snapshot": "RUNNING",
        "observe_champion": "RUNNING",
        "new_answers": "RUNNING",
        "train_when_needed": "STOPPED",
    }
    assert {schedule.name: schedule.default_status.value for schedule in repository.schedule_defs} == {
        "weekly_training": "STOPPED"
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATE_CONFIDENCE", "1.5"),
        ("GATE_CONFIDENCE", "high"),
        ("SYNTHETIC_LISTINGS", "0"),
        ("GATE_MARGIN", "x"),
        ("ASSET_FOLDER", "http://host/assets"),
        ("SNAPSHOT_FOLDER", "s3:///snapshots"),
        ("PREDICTION_LOG", "ftp://host/log"),
        ("MODEL_REGISTRY", "http://host/registry"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_variables_name(variable: str, value: str) -> None:
    with pytest.raises(BadSetting, match=variable):
        read_settings(Settings, {variable: value})


def test_settings_are_read_by_their_names_in_capitals() -> None:
    settings = read_settings(Settings, {"SNAPSHOT": "listings.csv.gz", "MODEL_REGISTRY": "", "GATE_MARGIN": "0.01"})
    assert settings == Settings(snapshot="listings.csv.gz", gate_margin=0.01)


def test_every_asset_and_check_has_a_partition_for_each_market_the_default_one_first(tmp_path: Path) -> None:
    for name in ("lisbon", "aarhus", "new-york"):
        shutil.copy(MARKETS / "new-york.toml", tmp_path / f"{name}.toml")
    graph = make_definitions(Settings(market_folder=str(tmp_path), market="lisbon")).resolve_asset_graph()
    partitions = [graph.get(key).partitions_def for key in graph.get_all_asset_keys()]
    of_all_markets = dg.AssetCheckKey(dg.AssetKey("champion"), "the_registry_agrees")
    partitions += [graph.get_check_spec(key).partitions_def for key in graph.asset_check_keys - {of_all_markets}]
    assert {tuple(one.get_partition_keys()) for one in partitions if one} == {("lisbon", "aarhus", "new-york")}
    assert all(partitions)


def test_new_york_needs_no_market_file_and_any_other_market_does(tmp_path: Path) -> None:
    assert known_markets(Settings(market_folder=str(tmp_path))) == {"new-york": NEW_YORK}
    with pytest.raises(BadMarket, match="There is no market file"):
        make_definitions(Settings(market="oslo", market_folder=str(tmp_path)))
    (tmp_path / "new-york.toml").write_text("title = 1")
    with pytest.raises(BadMarket, match="cannot be used"):
        make_definitions(Settings(market_folder=str(tmp_path)))


def test_a_slip_in_one_citys_file_leaves_that_city_out_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "oslo.toml").write_text("titel = 1")
    assert list(known_markets(Settings(market_folder=str(tmp_path)))) == ["new-york"]
    assert f"The market file {tmp_path}/oslo.toml cannot be used" in caplog.text
    assert "It is left out." in caplog.text
