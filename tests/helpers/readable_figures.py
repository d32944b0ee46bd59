"""Find texts of a matplotlib figure that cannot be read."""

import itertools

from matplotlib.text import Text


def texts_of(figure):
    """The texts of a figure that can be seen, with the boxes that they take on its canvas (of an Agg backend)."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts]


def unreadable(figure):
    """Texts that leave the canvas, and pairs of texts that overlap."""
    texts, (width, height) = texts_of(figure), figure.canvas.get_width_height()
    wrong = [text for text, box in texts if min(box.x0, box.y0, width - box.x1, height - box.y1) < 0]
    for (text, box), (other, place) in itertools.combinations(texts, 2):
        if box.x0 < place.x1 and place.x0 < box.x1 and box.y0 < place.y1 and place.y0 < box.y1:
            wrong.append([text, other])
    return wrong
