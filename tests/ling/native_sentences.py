"""Descriptions in several languages that say the same, sentence by sentence: what a perfect captioner and a perfect
translator would say. They describe no real picture."""

# Six sentences make a description; of each there are three, and sentence n of one language means sentence n of another.
SENTENCES: dict[str, tuple[tuple[str, ...], ...]] = {
    "en": (
        (
            "The picture shows a large object in the middle on a white background.",
            "On a cream background there is a small object in the upper left part.",
            "A medium-sized object can be seen on the right on a light grey background.",
        ),
        ("Its main colour is red.", "Most of its surface is blue.", "Its main colour is green."),
        (
            "The second most common colour is grey, and no other colour stands out.",
            "After that comes yellow, and in places some black can be seen too.",
            "There is hardly any other colour, so the object looks plain.",
        ),
        (
            "The object is clearly taller than it is wide, and its outline is rounded and even.",
            "As for its form, the object is clearly wider than it is tall, and its outline is close to a rectangle.",
            "The object is about as tall as it is wide, and its outline is jagged and irregular.",
        ),
        (
            "The surface is smooth, with hardly any details.",
            "Seen from close up, the surface is very intricate, with a lot of small details.",
            "The surface is partly smooth, with some small details.",
        ),
        (
            "Overall the object is bright, and it stands out clearly from the background.",
            "It stands out only weakly from the background and is dark overall.",
            "Overall the object is of medium brightness, and it stands out moderately from the background.",
        ),
    ),
    "ar": (
        (
            "يظهر في الصورة جسم كبير في الوسط على خلفية بيضاء.",
            "على خلفية كريمية يوجد جسم صغير يقع في أعلى اليسار.",
            "في هذه الصورة جسم متوسط الحجم يقع إلى اليمين على خلفية رمادية فاتحة.",
        ),
        ("لونه الرئيسي هو الأحمر.", "يغطي معظم مساحته اللون الأزرق.", "لونه الرئيسي هو الأخضر."),
        (
            "يأتي بعده اللون الرمادي، ولا يكاد يظهر لون آخر.",
            "أما اللون الثاني فهو الأصفر، وتُرى كذلك لمسات من اللون الأسود.",
            "لا يكاد يظهر أي لون آخر، فيبدو الجسم بلون واحد.",
        ),
        (
            "ارتفاعه أكبر بوضوح من عرضه، ومحيطه مستدير ومنتظم.",
            "من حيث الشكل، عرضه أكبر بوضوح من ارتفاعه، ومحيطه قريب من شكل المستطيل.",
            "ارتفاعه وعرضه متساويان تقريبًا، ومحيطه متعرج وغير منتظم.",
        ),
        (
            "سطح هذا الجسم أملس ويكاد يخلو من التفاصيل.",
            "عند النظر إليه عن قرب، سطحه معقد جدًا وفيه كثير من التفاصيل الصغيرة.",
            "سطح هذا الجسم أملس في بعضه وفيه قليل من التفاصيل الصغيرة.",
        ),
        (
            "يبدو الجسم فاتحًا بشكل عام، ويتميز عن الخلفية بوضوح.",
            "يتميز الجسم عن الخلفية بصعوبة، ويبدو داكنًا بشكل عام.",
            "يبدو الجسم متوسط السطوع بشكل عام، ويتميز عن الخلفية بدرجة متوسطة.",
        ),
    ),
    "cs": (
        (
            "Na obrázku je uprostřed na bílém pozadí vidět velký předmět.",
            "Obrázek ukazuje malý předmět, který je umístěn vlevo nahoře na krémovém pozadí.",
            "Na světle šedém pozadí se vpravo nachází středně velký předmět.",
        ),
        ("Jeho hlavní barva je červená.", "Největší plochu na něm zabírá modrá barva.", "Jeho hlavní barva je zelená."),
        (
            "Na druhém místě je šedá barva a žádná další už není výrazná.",
            "Po ní následuje žlutá barva a místy je vidět i černá.",
            "Jiná barva na něm téměř není vidět, takže předmět působí jednobarevně.",
        ),
        (
            "Předmět je zřetelně vyšší, než je široký, a jeho obrys je zaoblený a plynulý.",
            "Co se týče tvaru, předmět je zřetelně širší, než je vysoký, a jeho obrys se blíží obdélníku.",
            "Předmět je zhruba stejně vysoký jako široký a jeho obrys je roztřepený a nepravidelný.",
        ),
        (
            "Jeho povrch je hladký a téměř bez podrobností.",
            "Při pohledu zblízka je povrch velmi členitý, s mnoha drobnými podrobnostmi.",
            "Jeho povrch je zčásti hladký, s několika drobnými podrobnostmi.",
        ),
        (
            "Celkově je předmět světlý a od pozadí se odlišuje výrazně.",
            "Od pozadí se odlišuje jen slabě a celkově je tmavý.",
            "Celkově je předmět středně světlý a od pozadí se odlišuje mírně.",
        ),
    ),
    "hu": (
        (
            "A képen középen, fehér háttér előtt egy nagy tárgy látható.",
            "Krémszínű háttér előtt, balra fent egy kis tárgy helyezkedik el.",
            "A kép egy közepes méretű tárgyat mutat világosszürke háttér előtt, jobb oldalon.",
        ),
        ("A tárgy fő színe a piros.", "A legnagyobb részét kék szín borítja.", "A tárgy fő színe a zöld."),
        (
            "A második leggyakoribb szín a szürke, és más szín alig látszik.",
            "Ezt a sárga szín követi, és néhol a fekete is feltűnik.",
            "Más szín szinte nem is látszik rajta, ezért egyszínűnek tűnik.",
        ),
        (
            "A tárgy jóval magasabb, mint amilyen széles, és a körvonala lekerekített és egyenletes.",
            "Ami az alakját illeti, a tárgy jóval szélesebb, mint amilyen magas, és a körvonala közel téglalap alakú.",
            "A tárgy nagyjából ugyanolyan magas, mint amilyen széles, és a körvonala tagolt és szabálytalan.",
        ),
        (
            "A felülete sima, és szinte nincsenek rajta részletek.",
            "Közelről nézve a felülete nagyon változatos, és rengeteg rajta az apró részlet.",
            "A felülete részben sima, és van rajta néhány apró részlet.",
        ),
        (
            "Összességében a tárgy világos, és élesen elválik a háttértől.",
            "A tárgy alig válik el a háttértől, és összességében sötét.",
            "Összességében a tárgy közepesen világos, és mérsékelten elválik a háttértől.",
        ),
    ),
    "ko": (
        (
            "흰색 배경의 가운데에 큰 물체가 놓여 있습니다.",
            "그림을 보면 크림색 배경의 왼쪽 위에 작은 물체가 보입니다.",
            "이 그림에는 중간 크기의 물체가 밝은 회색 배경의 오른쪽에 있습니다.",
        ),
        (
            "물체의 주된 색은 빨간색입니다.",
            "물체에서 파란색이 가장 넓은 부분을 차지합니다.",
            "물체의 주된 색은 초록색입니다.",
        ),
        (
            "그다음으로는 회색이 많고, 다른 색은 거의 보이지 않습니다.",
            "두 번째로 많은 색은 노란색이고, 군데군데 검은색도 섞여 있습니다.",
            "다른 색은 거의 보이지 않아서 한 가지 색으로 되어 있는 것 같습니다.",
        ),
        (
            "이 물체는 세로가 가로보다 훨씬 길고 윤곽은 둥글고 매끈합니다.",
            "모양을 살펴보면 가로가 세로보다 훨씬 길고 윤곽은 직사각형에 가깝습니다.",
            "이 물체는 가로와 세로의 길이가 비슷하고 윤곽은 들쭉날쭉하고 불규칙합니다.",
        ),
        (
            "물체의 표면은 매끈하고 세부 무늬가 거의 없습니다.",
            "가까이에서 보면 표면은 매우 복잡하고 작은 무늬가 아주 많습니다.",
            "물체의 표면은 대체로 매끈하지만 작은 무늬가 조금 있습니다.",
        ),
        (
            "전체적으로 물체는 밝은 편이고 배경과 뚜렷하게 구분됩니다.",
            "물체는 전체적으로 어두운 편이고, 배경과 거의 구분되지 않습니다.",
            "전체적으로 물체는 중간 밝기이고 배경과 어느 정도 구분됩니다.",
        ),
    ),
    "ru": (
        (
            "На картинке в центре на белом фоне виден предмет крупного размера.",
            "На кремовом фоне слева вверху расположен предмет небольшого размера.",
            "Изображён предмет среднего размера, он находится справа на светло-сером фоне.",
        ),
        (
            "Основной его цвет — красный.",
            "Больше всего места на нём занимает синий цвет.",
            "Основной его цвет — зелёный.",
        ),
        (
            "На втором месте идёт серый цвет, а других цветов почти не видно.",
            "Следом за ним идёт жёлтый, а в небольшом количестве встречается и чёрный.",
            "Других цветов на нём почти не видно, поэтому предмет кажется одноцветным.",
        ),
        (
            "Предмет явно вытянут в высоту, а его контур округлый и плавный.",
            "Если говорить о форме, то предмет явно вытянут в ширину, а его контур близок к прямоугольнику.",
            "Высота и ширина предмета примерно одинаковы, а его контур изрезанный и неправильный.",
        ),
        (
            "Его поверхность гладкая и почти без деталей.",
            "Если присмотреться, поверхность очень подробная, со множеством мелких деталей.",
            "Его поверхность отчасти гладкая, с некоторыми мелкими деталями.",
        ),
        (
            "В целом предмет светлый и отчётливо выделяется на фоне.",
            "Предмет едва выделяется на фоне, а в целом он тёмный.",
            "В целом предмет средней яркости и умеренно выделяется на фоне.",
        ),
    ),
    "sr": (
        (
            "На слици се у средини на белој позадини види велики предмет.",
            "На крем позадини се горе лево налази мали предмет.",
            "Слика приказује средње велики предмет који се налази на десној страни на светлосивој позадини.",
        ),
        (
            "Његова главна боја је црвена.",
            "Највећу површину на њему заузима плава боја.",
            "Његова главна боја је зелена.",
        ),
        (
            "На другом месту је сива боја, а друге боје се једва примећују.",
            "После ње следи жута боја, а понегде се види и црна.",
            "Друге боје се на њему скоро не виде, па предмет делује једнобојно.",
        ),
        (
            "Предмет је знатно виши него што је широк, а његов обрис је заобљен и правилан.",
            "Што се облика тиче, предмет је знатно шири него што је висок, а његов обрис је близак правоугаонику.",
            "Предмет је отприлике једнако висок и широк, а његов обрис је разуђен и неправилан.",
        ),
        (
            "Његова површина је глатка и скоро без детаља.",
            "Када се погледа изблиза, површина је веома сложена, са много ситних детаља.",
            "Његова површина је делимично глатка, са неколико ситних детаља.",
        ),
        (
            "У целини је предмет светао и јасно се издваја од позадине.",
            "Предмет се једва издваја од позадине, а у целини је таман.",
            "У целини је предмет умерено светао и умерено се издваја од позадине.",
        ),
    ),
    "th": (
        (
            "มีวัตถุขนาดใหญ่หนึ่งชิ้นอยู่ตรงกลางของภาพบนพื้นหลังสีขาว",
            "บนพื้นหลังสีครีมมีวัตถุขนาดเล็กหนึ่งชิ้นอยู่ด้านซ้ายบนของภาพ",
            "ภาพนี้แสดงวัตถุขนาดกลางหนึ่งชิ้นบนพื้นหลังสีเทาอ่อน โดยอยู่ด้านขวา",
        ),
        ("สีหลักของวัตถุคือสีแดง", "พื้นที่ส่วนใหญ่ของวัตถุเป็นสีน้ำเงิน", "สีหลักของวัตถุคือสีเขียว"),
        (
            "รองลงมาคือสีเทา และแทบไม่เห็นสีอื่นเลย",
            "สีที่พบมากเป็นอันดับสองคือสีเหลือง และเห็นสีดำอยู่บ้างบางจุด",
            "แทบไม่เห็นสีอื่นเลย วัตถุจึงดูเหมือนมีเพียงสีเดียว",
        ),
        (
            "วัตถุมีความสูงมากกว่าความกว้างอย่างชัดเจน และเส้นขอบโค้งมนและเรียบ",
            "ในด้านรูปทรง วัตถุมีความกว้างมากกว่าความสูงอย่างชัดเจน และเส้นขอบใกล้เคียงกับรูปสี่เหลี่ยม",
            "วัตถุมีความสูงและความกว้างใกล้เคียงกัน และเส้นขอบเว้าแหว่งและไม่สม่ำเสมอ",
        ),
        (
            "พื้นผิวของวัตถุเรียบและแทบไม่มีรายละเอียด",
            "เมื่อมองใกล้ ๆ พื้นผิวซับซ้อนมากและมีรายละเอียดเล็ก ๆ มากมาย",
            "พื้นผิวของวัตถุค่อนข้างเรียบและมีรายละเอียดเล็กน้อย",
        ),
        (
            "โดยรวมแล้ววัตถุดูสว่าง และตัดกับพื้นหลังอย่างชัดเจน",
            "วัตถุแทบกลืนไปกับพื้นหลัง และโดยรวมแล้วดูมืด",
            "โดยรวมแล้ววัตถุดูสว่างปานกลาง และตัดกับพื้นหลังพอสมควร",
        ),
    ),
    "vi": (
        (
            "Trong ảnh, trên nền trắng, có một vật thể lớn nằm ở giữa.",
            "Trên nền màu kem, có một vật thể nhỏ nằm ở góc trên bên trái.",
            "Bức ảnh cho thấy một vật thể cỡ vừa trên nền xám nhạt, nằm ở bên phải.",
        ),
        (
            "Màu chính của nó là màu đỏ.",
            "Phần lớn diện tích của nó có màu xanh dương.",
            "Màu chính của nó là màu xanh lá cây.",
        ),
        (
            "Màu nhiều thứ hai là màu xám, ngoài ra hầu như không có màu nào khác.",
            "Tiếp theo là màu vàng, và đôi chỗ còn thấy cả màu đen.",
            "Hầu như không có màu nào khác, nên vật thể trông như chỉ có một màu.",
        ),
        (
            "Chiều cao của vật thể lớn hơn hẳn chiều rộng, còn đường viền tròn trịa và đều đặn.",
            "Về hình dạng, chiều rộng của vật thể lớn hơn hẳn chiều cao, còn đường viền gần giống hình chữ nhật.",
            "Chiều cao và chiều rộng của vật thể gần bằng nhau, còn đường viền lồi lõm và không đều.",
        ),
        (
            "Bề mặt của nó nhẵn và hầu như không có chi tiết.",
            "Khi nhìn gần, bề mặt rất phức tạp và có nhiều chi tiết nhỏ.",
            "Bề mặt của nó khá nhẵn và có một vài chi tiết nhỏ.",
        ),
        (
            "Nhìn chung vật thể khá sáng và nổi bật rõ rệt trên nền.",
            "Vật thể gần như hòa vào nền, và nhìn chung nó khá tối.",
            "Nhìn chung vật thể sáng vừa phải và nổi bật vừa phải trên nền.",
        ),
    ),
}


def description(language: str, number: int) -> str:
    """One of the descriptions, by its number; there are 729, and the same number means the same in each language."""
    said = []
    for sentences in SENTENCES[language]:
        number, choice = divmod(number, len(sentences))
        said.append(sentences[choice])
    return " ".join(said)
