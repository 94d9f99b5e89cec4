"""English sentences for `mella_hf.demo.stamps.descriptions`."""

from mella_hf.demo.stamps.phrases import Phrases

PHRASES = Phrases(
    colour={
        "red": "red",
        "orange": "orange",
        "yellow": "yellow",
        "green": "green",
        "blue": "blue",
        "purple": "purple",
        "pink": "pink",
        "brown": "brown",
        "beige": "beige",
        "black": "black",
        "grey": "grey",
        "white": "white",
    },
    background={
        "white": "on a white background",
        "cream": "on a cream background",
        "pale blue": "on a pale blue background",
        "pale green": "on a pale green background",
        "pale pink": "on a pale pink background",
        "light grey": "on a light grey background",
    },
    size={"small": "small", "medium": "medium-sized", "large": "large"},
    position={
        "centre": "in the middle",
        "top": "at the top",
        "bottom": "at the bottom",
        "left": "on the left",
        "right": "on the right",
        "top left": "in the upper left part",
        "top right": "in the upper right part",
        "bottom left": "in the lower left part",
        "bottom right": "in the lower right part",
    },
    shape={
        "tall": "the object is clearly taller than it is wide",
        "wide": "the object is clearly wider than it is tall",
        "square": "the object is about as tall as it is wide",
    },
    outline={
        "boxy": "its outline is close to a rectangle",
        "rounded": "its outline is rounded and even",
        "compact": "its outline is compact, without large gaps",
        "irregular": "its outline is jagged and irregular",
    },
    texture={
        "smooth": "smooth, with hardly any details",
        "some": "partly smooth, with some small details",
        "detailed": "very intricate, with a lot of small details",
    },
    brightness={"bright": "bright", "medium": "of medium brightness", "dark": "dark"},
    contrast={"strong": "clearly", "medium": "moderately", "weak": "only weakly"},
    place=(
        "The picture shows a {size} object {position} {background}.",
        "{background} there is a {size} object {position}.",
        "A {size} object can be seen {position} {background}.",
    ),
    main=(
        "Its main colour is {main}.",
        "Most of its surface is {main}.",
    ),
    rest_two=(
        "The second most common colour is {second}, and there is a little {third} as well.",
        "After that comes {second}, and in places some {third} can be seen too.",
    ),
    rest_one=(
        "The second most common colour is {second}, and no other colour stands out.",
        "After that comes {second}, and there is hardly any other colour.",
    ),
    rest_none=(
        "There is hardly any other colour, so the object looks plain.",
        "No other colour stands out, so it seems to have just one colour.",
    ),
    form=(
        "{shape}, and {outline}.",
        "As for its form, {shape}, and {outline}.",
    ),
    surface=(
        "The surface is {texture}.",
        "Seen from close up, the surface is {texture}.",
    ),
    light=(
        "Overall the object is {brightness}, and it stands out {contrast} from the background.",
        "It stands out {contrast} from the background and is {brightness} overall.",
    ),
)
