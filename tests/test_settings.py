"""Rules between settings that config.py's tests, which hold each field alone, do not see."""

import pytest
from pydantic import ValidationError

from dozero.settings import CurateConfig, DataConfig, RunConfig, ScaleConfig, SourceConfig, TrainConfig


def test_sources_stand_in_one_row_with_the_common_licence_where_they_have_none():
    data = DataConfig(kind="text", source="a", licence="MIT", sources=[{"path": "b"}, {"path": "c", "licence": "own"}])
    assert data.all_sources == (
        SourceConfig(path="a", licence="MIT"),
        SourceConfig(path="b", licence="MIT"),
        SourceConfig(path="c", licence="own"),
    )
    assert DataConfig().all_sources == ()


def test_lists_of_toml_become_tuples_and_settings_stay_frozen():
    config = CurateConfig(languages=["pt", "en"])
    assert config.languages == ("pt", "en")
    with pytest.raises(ValidationError):
        config.bands = 3


@pytest.mark.parametrize(
    "tree",
    [{"data": {"min_letters": 9, "max_letters": 3}}, {"scale": {"executor": "slurm"}}, {"train": {"batch_tokens": 8}}],
)
def test_settings_that_exclude_each_other_are_refused(tree):
    with pytest.raises(ValidationError):
        RunConfig.model_validate(tree)
    assert ScaleConfig(executor="slurm", partition="cpu").tasks == 16


@pytest.mark.parametrize(
    ("train", "complaint"),
    [
        ({"micro_batch_tokens": 32}, "less than one row"),
        ({"verify_slots": 65}, "more than the 64 rows"),
        ({"verify_slots": 2, "shard": True}, "do not go together"),
    ],
)
def test_portions_and_slots_must_fit_a_step(train, complaint):
    with pytest.raises(ValidationError, match=complaint):
        RunConfig(train=TrainConfig(**train))


def test_a_portion_is_counted_in_rows():
    assert RunConfig().rows_at_once == 0
    assert RunConfig(train=TrainConfig(micro_batch_tokens=200)).rows_at_once == 3
