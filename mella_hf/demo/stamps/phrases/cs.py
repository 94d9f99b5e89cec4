"""Czech sentences for `mella_hf.demo.stamps.descriptions`: colours agree with "barva", sizes with "předmět"."""

from mella_hf.demo.stamps.phrases import Phrases

PHRASES = Phrases(
    colour={
        "red": "červená",
        "orange": "oranžová",
        "yellow": "žlutá",
        "green": "zelená",
        "blue": "modrá",
        "purple": "fialová",
        "pink": "růžová",
        "brown": "hnědá",
        "beige": "béžová",
        "black": "černá",
        "grey": "šedá",
        "white": "bílá",
    },
    background={
        "white": "na bílém pozadí",
        "cream": "na krémovém pozadí",
        "pale blue": "na bledě modrém pozadí",
        "pale green": "na bledě zeleném pozadí",
        "pale pink": "na bledě růžovém pozadí",
        "light grey": "na světle šedém pozadí",
    },
    size={"small": "malý", "medium": "středně velký", "large": "velký"},
    position={
        "centre": "uprostřed",
        "top": "nahoře",
        "bottom": "dole",
        "left": "vlevo",
        "right": "vpravo",
        "top left": "vlevo nahoře",
        "top right": "vpravo nahoře",
        "bottom left": "vlevo dole",
        "bottom right": "vpravo dole",
    },
    shape={
        "tall": "předmět je zřetelně vyšší, než je široký,",
        "wide": "předmět je zřetelně širší, než je vysoký,",
        "square": "předmět je zhruba stejně vysoký jako široký",
    },
    outline={
        "boxy": "jeho obrys se blíží obdélníku",
        "rounded": "jeho obrys je zaoblený a plynulý",
        "compact": "jeho obrys je celistvý, bez větších mezer",
        "irregular": "jeho obrys je roztřepený a nepravidelný",
    },
    texture={
        "smooth": "hladký a téměř bez podrobností",
        "some": "zčásti hladký, s několika drobnými podrobnostmi",
        "detailed": "velmi členitý, s mnoha drobnými podrobnostmi",
    },
    brightness={"bright": "světlý", "medium": "středně světlý", "dark": "tmavý"},
    contrast={"strong": "výrazně", "medium": "mírně", "weak": "jen slabě"},
    place=(
        "Na obrázku je {position} {background} vidět {size} předmět.",
        "Obrázek ukazuje {size} předmět, který je umístěn {position} {background}.",
        "{background} se {position} nachází {size} předmět.",
    ),
    main=(
        "Jeho hlavní barva je {main}.",
        "Největší plochu na něm zabírá {main} barva.",
    ),
    rest_two=(
        "Na druhém místě je {second} barva a v menší míře se objevuje také {third}.",
        "Po ní následuje {second} barva a místy je vidět i {third}.",
    ),
    rest_one=(
        "Na druhém místě je {second} barva a žádná další už není výrazná.",
        "Po ní následuje {second} barva a jiné barvy téměř nejsou vidět.",
    ),
    rest_none=(
        "Jiná barva na něm téměř není vidět, takže předmět působí jednobarevně.",
        "Žádná další barva není výrazná, předmět má zdánlivě jen jednu barvu.",
    ),
    form=(
        "{shape} a {outline}.",
        "Co se týče tvaru, {shape} a {outline}.",
    ),
    surface=(
        "Jeho povrch je {texture}.",
        "Při pohledu zblízka je povrch {texture}.",
    ),
    light=(
        "Celkově je předmět {brightness} a od pozadí se odlišuje {contrast}.",
        "Od pozadí se odlišuje {contrast} a celkově je {brightness}.",
    ),
)
