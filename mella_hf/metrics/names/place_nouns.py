"""Common nouns in the names of places: Karlův most, Красная площадь, Váci utca, Náměstí Svobody.

Lemmas, as the spelling dictionary gives them; written for this, from everyday use.
"""

PLACE_NOUNS: dict[str, frozenset[str]] = {
    "cs": frozenset(
        """
        most náměstí hrad zámek ulice brána věž chrám kostel katedrála divadlo muzeum hora jezero údolí trh park
        dům palác klášter moře ostrov pohoří les rybník nádraží kaple galerie zahrada třída nábřeží město propast
        kolonáda soutěska rozhledna vodopád stadion univerzita knihovna radnice přehrada letiště pramen bazilika
        rotunda řeka potok vesnice obec rezervace fakulta akademie institut nemocnice filharmonie
        """.split()
    ),
    "hu": frozenset(
        """
        tér utca út híd vár templom bazilika hegy tó sziget kastély palota fürdő park liget barlang múzeum színház
        kilátó pályaudvar udvar torony kapu szobor körút rakpart katedrális piac völgy dóm csarnok stadion egyetem
        könyvtár apátság kolostor kápolna zsinagóga dzsámi forrás szurdok galéria akadémia intézet kórház klinika
        emlékház temető gimnázium
        """.split()
    ),
    "ru": frozenset(
        """
        площадь улица театр мост собор музей дворец ворота проспект башня церковь парк сад монастырь кремль море
        озеро гора остров канал набережная вокзал храм бульвар переулок усадьба галерея стена водопад крепость
        курган пещера степь долина заповедник бухта залив ущелье хребет рынок стадион университет библиотека лес
        поле река село город деревня вулкан водохранилище факультет институт академия больница филармония
        консерватория
        """.split()
    ),
    "sr": frozenset(
        """
        most trg ulica crkva manastir tvrđava jezero planina muzej pozorište hram kula reka park dvor palata
        pijaca spomenik stadion kapija ostrvo more dvorac gora banja groblje vodopad klisura kanjon pećina polje
        dolina šuma vrh ušće zamak biblioteka univerzitet bulevar selo grad sinagoga kuća fakultet institut
        akademija bolnica galerija ćuprija filharmonija gimnazija
        """.split()
    ),
}

# Those of streets and squares, whose name may stand in any case after them: Улица Баумана, Náměstí Míru.
STREETS = frozenset(
    "náměstí ulice třída nábřeží улица площадь проспект переулок набережная бульвар trg ulica bulevar".split()
)
