"""Vietnamese sentences for the stamps: "vật thể" is the one classifier that suits any thing."""

from mella_hf.demo.stamps.phrases import Phrases

PHRASES = Phrases(
    colour={
        "red": "màu đỏ",
        "orange": "màu cam",
        "yellow": "màu vàng",
        "green": "màu xanh lá cây",
        "blue": "màu xanh dương",
        "purple": "màu tím",
        "pink": "màu hồng",
        "brown": "màu nâu",
        "beige": "màu be",
        "black": "màu đen",
        "grey": "màu xám",
        "white": "màu trắng",
    },
    background={
        "white": "trên nền trắng",
        "cream": "trên nền màu kem",
        "pale blue": "trên nền xanh dương nhạt",
        "pale green": "trên nền xanh lá cây nhạt",
        "pale pink": "trên nền hồng nhạt",
        "light grey": "trên nền xám nhạt",
    },
    size={"small": "nhỏ", "medium": "cỡ vừa", "large": "lớn"},
    position={
        "centre": "ở giữa",
        "top": "ở phía trên",
        "bottom": "ở phía dưới",
        "left": "ở bên trái",
        "right": "ở bên phải",
        "top left": "ở góc trên bên trái",
        "top right": "ở góc trên bên phải",
        "bottom left": "ở góc dưới bên trái",
        "bottom right": "ở góc dưới bên phải",
    },
    shape={
        "tall": "chiều cao của vật thể lớn hơn hẳn chiều rộng",
        "wide": "chiều rộng của vật thể lớn hơn hẳn chiều cao",
        "square": "chiều cao và chiều rộng của vật thể gần bằng nhau",
    },
    outline={
        "boxy": "đường viền gần giống hình chữ nhật",
        "rounded": "đường viền tròn trịa và đều đặn",
        "compact": "đường viền liền khối, không có khoảng hở lớn",
        "irregular": "đường viền lồi lõm và không đều",
    },
    texture={
        "smooth": "nhẵn và hầu như không có chi tiết",
        "some": "khá nhẵn và có một vài chi tiết nhỏ",
        "detailed": "rất phức tạp và có nhiều chi tiết nhỏ",
    },
    brightness={"bright": "khá sáng", "medium": "sáng vừa phải", "dark": "khá tối"},
    contrast={
        "strong": "nổi bật rõ rệt trên nền",
        "medium": "nổi bật vừa phải trên nền",
        "weak": "gần như hòa vào nền",
    },
    place=(
        "Trong ảnh, {background}, có một vật thể {size} nằm {position}.",
        "{background}, có một vật thể {size} nằm {position}.",
        "Bức ảnh cho thấy một vật thể {size} {background}, nằm {position}.",
    ),
    main=(
        "Màu chính của nó là {main}.",
        "Phần lớn diện tích của nó có {main}.",
    ),
    rest_two=(
        "Màu nhiều thứ hai là {second}, ngoài ra còn có một ít {third}.",
        "Tiếp theo là {second}, và đôi chỗ còn thấy cả {third}.",
    ),
    rest_one=(
        "Màu nhiều thứ hai là {second}, ngoài ra hầu như không có màu nào khác.",
        "Tiếp theo là {second}, và không còn màu nào khác nổi bật.",
    ),
    rest_none=(
        "Hầu như không có màu nào khác, nên vật thể trông như chỉ có một màu.",
        "Không có màu nào khác nổi bật, nên cả vật thể trông đồng nhất.",
    ),
    form=(
        "{shape}, còn {outline}.",
        "Về hình dạng, {shape}, còn {outline}.",
    ),
    surface=(
        "Bề mặt của nó {texture}.",
        "Khi nhìn gần, bề mặt {texture}.",
    ),
    light=(
        "Nhìn chung vật thể {brightness} và {contrast}.",
        "Vật thể {contrast}, và nhìn chung nó {brightness}.",
    ),
)
