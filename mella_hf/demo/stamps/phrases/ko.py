"""Korean sentences for `mella_hf.demo.stamps.descriptions`: all colours end in 색 and take 이."""

from mella_hf.demo.stamps.phrases import Phrases

PHRASES = Phrases(
    colour={
        "red": "빨간색",
        "orange": "주황색",
        "yellow": "노란색",
        "green": "초록색",
        "blue": "파란색",
        "purple": "보라색",
        "pink": "분홍색",
        "brown": "갈색",
        "beige": "베이지색",
        "black": "검은색",
        "grey": "회색",
        "white": "흰색",
    },
    background={
        "white": "흰색 배경",
        "cream": "크림색 배경",
        "pale blue": "연한 파란색 배경",
        "pale green": "연한 초록색 배경",
        "pale pink": "연한 분홍색 배경",
        "light grey": "밝은 회색 배경",
    },
    size={"small": "작은", "medium": "중간 크기의", "large": "큰"},
    position={
        "centre": "가운데에",
        "top": "위쪽에",
        "bottom": "아래쪽에",
        "left": "왼쪽에",
        "right": "오른쪽에",
        "top left": "왼쪽 위에",
        "top right": "오른쪽 위에",
        "bottom left": "왼쪽 아래에",
        "bottom right": "오른쪽 아래에",
    },
    shape={
        "tall": "세로가 가로보다 훨씬 길고",
        "wide": "가로가 세로보다 훨씬 길고",
        "square": "가로와 세로의 길이가 비슷하고",
    },
    outline={
        "boxy": "윤곽은 직사각형에 가깝습니다",
        "rounded": "윤곽은 둥글고 매끈합니다",
        "compact": "윤곽은 큰 틈 없이 이어져 있습니다",
        "irregular": "윤곽은 들쭉날쭉하고 불규칙합니다",
    },
    texture={
        "smooth": "표면은 매끈하고 세부 무늬가 거의 없습니다",
        "some": "표면은 대체로 매끈하지만 작은 무늬가 조금 있습니다",
        "detailed": "표면은 매우 복잡하고 작은 무늬가 아주 많습니다",
    },
    brightness={"bright": "밝은 편이고", "medium": "중간 밝기이고", "dark": "어두운 편이고"},
    contrast={
        "strong": "배경과 뚜렷하게 구분됩니다",
        "medium": "배경과 어느 정도 구분됩니다",
        "weak": "배경과 거의 구분되지 않습니다",
    },
    place=(
        "{background}의 {position} {size} 물체가 놓여 있습니다.",
        "그림을 보면 {background}의 {position} {size} 물체가 보입니다.",
        "이 그림에는 {size} 물체가 {background}의 {position} 있습니다.",
    ),
    main=(
        "물체의 주된 색은 {main}입니다.",
        "물체에서 {main}이 가장 넓은 부분을 차지합니다.",
    ),
    rest_two=(
        "그다음으로는 {second}이 많고, {third}도 조금 보입니다.",
        "두 번째로 많은 색은 {second}이고, 군데군데 {third}도 섞여 있습니다.",
    ),
    rest_one=(
        "그다음으로는 {second}이 많고, 다른 색은 거의 보이지 않습니다.",
        "두 번째로 많은 색은 {second}이고, 그 밖의 색은 눈에 띄지 않습니다.",
    ),
    rest_none=(
        "다른 색은 거의 보이지 않아서 한 가지 색으로 되어 있는 것 같습니다.",
        "그 밖의 색은 눈에 띄지 않아서 물체가 단색으로 보입니다.",
    ),
    form=(
        "이 물체는 {shape} {outline}.",
        "모양을 살펴보면 {shape} {outline}.",
    ),
    surface=(
        "물체의 {texture}.",
        "가까이에서 보면 {texture}.",
    ),
    light=(
        "전체적으로 물체는 {brightness} {contrast}.",
        "물체는 전체적으로 {brightness}, {contrast}.",
    ),
)
