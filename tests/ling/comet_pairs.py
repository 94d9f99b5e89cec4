"""Pairs of an English text and its translation, or not its translation."""

EN = "A large red house with three windows stands on the left, in front of a pale blue sky. It casts a long shadow."
CS = "Velký červený dům se třemi okny stojí vlevo před bledě modrou oblohou. Vrhá dlouhý stín."
RU = "Большой красный дом с тремя окнами стоит слева на фоне бледно-голубого неба. Он отбрасывает длинную тень."
PAIRS: list[tuple[str, str]] = [
    (EN, CS),
    ("A dog.", "Pes."),
    (" ".join([EN] * 3), " ".join([CS] * 3)),
    ("Two cats sleep on a chair.", "Две кошки спят на стуле."),
    (EN, "บ้านสีแดงหลังใหญ่มีหน้าต่างสามบานตั้งอยู่ทางซ้ายหน้าท้องฟ้าสีฟ้าอ่อน"),
]
