"""Common nouns that follow a capitalised word in the name of a place: Karlův most, Красная площадь, Váci utca.

Lemmas, as the spelling dictionary gives them; written for this, from everyday use.
"""

PLACE_NOUNS: dict[str, frozenset[str]] = {
    "cs": frozenset(
        "most náměstí hrad zámek ulice brána věž chrám kostel katedrála divadlo muzeum hora jezero údolí trh park dům "
        "palác klášter moře ostrov pohoří les rybník nádraží kaple galerie zahrada třída nábřeží město les".split()
    ),
    "hu": frozenset(
        "tér utca út híd vár templom bazilika hegy tó sziget kastély palota fürdő park liget barlang múzeum színház "
        "kilátó pályaudvar udvar torony kapu szobor körút rakpart katedrális piac völgy".split()
    ),
    "ru": frozenset(
        "площадь улица театр мост собор музей дворец ворота проспект башня церковь парк сад монастырь кремль море "
        "озеро гора остров канал набережная вокзал храм бульвар переулок усадьба галерея стена водопад крепость".split()
    ),
    "sr": frozenset(
        "most trg ulica crkva manastir tvrđava jezero planina muzej pozorište hram kula reka park dvor palata pijaca "
        "spomenik stadion kapija ostrvo more dvorac gora banja groblje vodopad".split()
    ),
}
