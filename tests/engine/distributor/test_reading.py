"""Test reading ahead within a given memory."""

from screens import write_screen

from microsnoop_engine import CropSettings
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.reading import read_ahead
from microsnoop_engine.images.load_data import from_load_data

JOB = Job(("DNA", "GFP"), "Nuclei", CropSettings(rescale_constant=3.0))


def test_image_sets_read_ahead_fit_the_memory(tmp_path):
    sets = from_load_data(write_screen(tmp_path, 30))
    one = 2 * 96 * 96 * 2 + 96 * 96 * 2
    for memory, ahead in ((1, 1), (3 * one, 3), (1 << 30, 8)):
        seen = []
        reading = read_ahead([Tracked(s, seen) for s in sets], JOB, None, memory)
        most = 0
        for taken, _ in enumerate(reading, start=1):
            most = max(most, len(seen) - taken)
        assert most <= ahead


class Tracked:
    """An image set that notes when its channels are asked for."""

    def __init__(self, image_set, seen):
        self._image_set, self._seen = image_set, seen

    @property
    def channels(self):
        if self._image_set.number not in self._seen:
            self._seen.append(self._image_set.number)
        return self._image_set.channels

    def __getattr__(self, name):
        return getattr(self._image_set, name)
