"""Arabic sentences for `mella_hf.demo.stamps.descriptions`: definite colours after «اللون»."""

from mella_hf.demo.stamps.phrases import Phrases

PHRASES = Phrases(
    colour={
        "red": "الأحمر",
        "orange": "البرتقالي",
        "yellow": "الأصفر",
        "green": "الأخضر",
        "blue": "الأزرق",
        "purple": "البنفسجي",
        "pink": "الوردي",
        "brown": "البني",
        "beige": "البيج",
        "black": "الأسود",
        "grey": "الرمادي",
        "white": "الأبيض",
    },
    background={
        "white": "على خلفية بيضاء",
        "cream": "على خلفية كريمية",
        "pale blue": "على خلفية زرقاء فاتحة",
        "pale green": "على خلفية خضراء فاتحة",
        "pale pink": "على خلفية وردية فاتحة",
        "light grey": "على خلفية رمادية فاتحة",
    },
    size={"small": "صغير", "medium": "متوسط الحجم", "large": "كبير"},
    position={
        "centre": "في الوسط",
        "top": "في الأعلى",
        "bottom": "في الأسفل",
        "left": "إلى اليسار",
        "right": "إلى اليمين",
        "top left": "في أعلى اليسار",
        "top right": "في أعلى اليمين",
        "bottom left": "في أسفل اليسار",
        "bottom right": "في أسفل اليمين",
    },
    shape={
        "tall": "ارتفاعه أكبر بوضوح من عرضه",
        "wide": "عرضه أكبر بوضوح من ارتفاعه",
        "square": "ارتفاعه وعرضه متساويان تقريبًا",
    },
    outline={
        "boxy": "محيطه قريب من شكل المستطيل",
        "rounded": "محيطه مستدير ومنتظم",
        "compact": "محيطه متماسك بلا فراغات كبيرة",
        "irregular": "محيطه متعرج وغير منتظم",
    },
    texture={
        "smooth": "أملس ويكاد يخلو من التفاصيل",
        "some": "أملس في بعضه وفيه قليل من التفاصيل الصغيرة",
        "detailed": "معقد جدًا وفيه كثير من التفاصيل الصغيرة",
    },
    brightness={"bright": "فاتحًا", "medium": "متوسط السطوع", "dark": "داكنًا"},
    contrast={"strong": "بوضوح", "medium": "بدرجة متوسطة", "weak": "بصعوبة"},
    place=(
        "يظهر في الصورة جسم {size} {position} {background}.",
        "{background} يوجد جسم {size} يقع {position}.",
        "في هذه الصورة جسم {size} يقع {position} {background}.",
    ),
    main=(
        "لونه الرئيسي هو {main}.",
        "يغطي معظم مساحته اللون {main}.",
    ),
    rest_two=(
        "يأتي بعده اللون {second}، ويظهر أيضًا قليل من اللون {third}.",
        "أما اللون الثاني فهو {second}، وتُرى كذلك لمسات من اللون {third}.",
    ),
    rest_one=(
        "يأتي بعده اللون {second}، ولا يكاد يظهر لون آخر.",
        "أما اللون الثاني فهو {second}، ولا يبرز أي لون غيره.",
    ),
    rest_none=(
        "لا يكاد يظهر أي لون آخر، فيبدو الجسم بلون واحد.",
        "لا يبرز أي لون غيره، وكأن للجسم لونًا واحدًا فقط.",
    ),
    form=(
        "{shape}، و{outline}.",
        "من حيث الشكل، {shape}، و{outline}.",
    ),
    surface=(
        "سطح هذا الجسم {texture}.",
        "عند النظر إليه عن قرب، سطحه {texture}.",
    ),
    light=(
        "يبدو الجسم {brightness} بشكل عام، ويتميز عن الخلفية {contrast}.",
        "يتميز الجسم عن الخلفية {contrast}، ويبدو {brightness} بشكل عام.",
    ),
)
