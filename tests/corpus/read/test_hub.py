"""Datasets in the hub's layout, streamed shard by shard; here from a folder on disk, without any network."""

import pytest

from dozero.corpus.document import Document
from dozero.corpus.read.hub import count_shards, dataset_files
from dozero.corpus.read.listing import list_units
from dozero.corpus.read.reader import read_unit
from dozero.errors import DataError
from dozero.settings import SourceConfig

pytest.importorskip("datasets")
TEXTS = [f"texto número {n}" for n in range(50)]


@pytest.fixture
def address(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "owner" / "name" / "data"
    folder.mkdir(parents=True)
    for part in range(2):
        pq.write_table(
            pa.table({"text": TEXTS[part * 25 : part * 25 + 25]}), folder / f"train-0000{part}-of-00002.parquet"
        )
    return f"hf://{tmp_path}/owner/name"


def test_every_record_of_every_shard_comes_once(address):
    units = list_units(SourceConfig(path=address, licence="MIT"), 1)
    documents = [item for unit in units for item in read_unit(unit)]
    assert all(isinstance(d, Document) for d in documents)
    assert sorted(d.text for d in documents) == sorted(TEXTS)
    assert count_shards(address) == 2
    assert len(dataset_files(address)) == 2
    assert len({d.source for d in documents}) == 50


def test_a_wrong_address_is_told(address, tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        list_units(SourceConfig(path=f"hf://{tmp_path}/nobody"))
    with pytest.raises(DataError, match="cannot be read"):
        list_units(SourceConfig(path=f"{address}:nosplit"))
