"""Test how image sets are split into shards."""

from microsnoop_engine.distributor.shards import Shard


def test_shares_are_disjoint_and_complete():
    sets = list(range(23))
    parts = [Shard(number, 5).of(sets) for number in range(1, 6)]
    assert sorted(one for part in parts for one in part) == sets
    assert {len(part) for part in parts} <= {4, 5}
    assert Shard.of_folder(Shard(3, 12).folder) == Shard(3, 12)
    assert Shard.of_folder("profiles.parquet") is None
