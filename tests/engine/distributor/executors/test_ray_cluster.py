"""Test where actors are placed in a Ray cluster."""

from microsnoop_engine.distributor.executors.ray_cluster import actor_slots, has_gpus


def test_there_is_an_actor_per_gpu_or_else_per_node_and_cores_are_left_for_reading():
    def node(name, alive=True, **resources):
        return {"NodeID": name, "Alive": alive, "Resources": resources}

    on_cpus = [node("head", memory=1), node("small", CPU=1.0), node("large", CPU=16.0)]
    assert not has_gpus(on_cpus)
    found = actor_slots(on_cpus, on_gpus=False)
    assert {name: [(p.device, p.cpus, p.threads) for p in at] for name, at in found.items()} == {
        "small": [("cpu", 0.5, 1)],
        "large": [("cpu", 15, 15)],
    }
    lost, with_gpus = node("lost", alive=False, GPU=4.0), node("gpus", CPU=2.0, GPU=2.0)
    assert not has_gpus([lost])
    assert has_gpus([*on_cpus, with_gpus])
    found = actor_slots([*on_cpus, lost, with_gpus], on_gpus=True)
    assert {name: [(p.device, p.cpus, p.gpus) for p in at] for name, at in found.items()} == {
        "gpus": [("cuda", 0.5, 1), ("cuda", 0.5, 1)]
    }
