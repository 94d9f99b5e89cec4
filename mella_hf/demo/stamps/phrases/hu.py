"""Hungarian sentences for `mella_hf.demo.stamps.descriptions`: all colours take the article "a"."""

from mella_hf.demo.stamps.phrases import Phrases

PHRASES = Phrases(
    colour={
        "red": "piros",
        "orange": "narancssárga",
        "yellow": "sárga",
        "green": "zöld",
        "blue": "kék",
        "purple": "lila",
        "pink": "rózsaszín",
        "brown": "barna",
        "beige": "bézs",
        "black": "fekete",
        "grey": "szürke",
        "white": "fehér",
    },
    background={
        "white": "fehér háttér előtt",
        "cream": "krémszínű háttér előtt",
        "pale blue": "halványkék háttér előtt",
        "pale green": "halványzöld háttér előtt",
        "pale pink": "halvány rózsaszín háttér előtt",
        "light grey": "világosszürke háttér előtt",
    },
    size={"small": "kis", "medium": "közepes méretű", "large": "nagy"},
    position={
        "centre": "középen",
        "top": "felül",
        "bottom": "alul",
        "left": "bal oldalon",
        "right": "jobb oldalon",
        "top left": "balra fent",
        "top right": "jobbra fent",
        "bottom left": "balra lent",
        "bottom right": "jobbra lent",
    },
    shape={
        "tall": "a tárgy jóval magasabb, mint amilyen széles",
        "wide": "a tárgy jóval szélesebb, mint amilyen magas",
        "square": "a tárgy nagyjából ugyanolyan magas, mint amilyen széles",
    },
    outline={
        "boxy": "a körvonala közel téglalap alakú",
        "rounded": "a körvonala lekerekített és egyenletes",
        "compact": "a körvonala egységes, nagyobb rések nélkül",
        "irregular": "a körvonala tagolt és szabálytalan",
    },
    texture={
        "smooth": "sima, és szinte nincsenek rajta részletek",
        "some": "részben sima, és van rajta néhány apró részlet",
        "detailed": "nagyon változatos, és rengeteg rajta az apró részlet",
    },
    brightness={"bright": "világos", "medium": "közepesen világos", "dark": "sötét"},
    contrast={
        "strong": "élesen elválik a háttértől",
        "medium": "mérsékelten elválik a háttértől",
        "weak": "alig válik el a háttértől",
    },
    place=(
        "A képen {position}, {background} egy {size} tárgy látható.",
        "{background}, {position} egy {size} tárgy helyezkedik el.",
        "A kép egy {size} tárgyat mutat {background}, {position}.",
    ),
    main=(
        "A tárgy fő színe a {main}.",
        "A legnagyobb részét {main} szín borítja.",
    ),
    rest_two=(
        "A második leggyakoribb szín a {second}, és kisebb mértékben a {third} is megjelenik.",
        "Ezt a {second} szín követi, és néhol a {third} is feltűnik.",
    ),
    rest_one=(
        "A második leggyakoribb szín a {second}, és más szín alig látszik.",
        "Ezt a {second} szín követi, és más szín szinte nem is tűnik fel.",
    ),
    rest_none=(
        "Más szín szinte nem is látszik rajta, ezért egyszínűnek tűnik.",
        "Más szín alig tűnik fel, így olyan, mintha egyetlen színe volna.",
    ),
    form=(
        "{shape}, és {outline}.",
        "Ami az alakját illeti, {shape}, és {outline}.",
    ),
    surface=(
        "A felülete {texture}.",
        "Közelről nézve a felülete {texture}.",
    ),
    light=(
        "Összességében a tárgy {brightness}, és {contrast}.",
        "A tárgy {contrast}, és összességében {brightness}.",
    ),
)
