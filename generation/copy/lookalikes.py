"""What stands for what to the eye: letters of other scripts, split and disguised characters."""

from __future__ import annotations


def _pairs(strange: str, plain: str) -> dict[str, str]:
    return dict(zip(strange, plain, strict=True))


LETTERS = {
    **_pairs("абвгдезікмнорстухчьԁһјѕԛԝӏгүѵґё", "a6brde3ikmhopctyx4bdhjsqwlryvre"),
    **_pairs("αβγδεζηικλμνορςστυχωϲϳ", "abydezniklmvopcotuxwcj"),
    **_pairs("ияшщΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "nrwwabezhikmnoptyx"),
    **_pairs("օսհոցքեգլվս", "ouhngqeqluu"),
    **_pairs("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz"),
    **_pairs("ɑɐɓɔɗɖəɛɠɡɦɨıʝƙłɭɱŋɲøɵƥʠɾʂţŧʇưʋɯʍʏƶđħƒ", "aabcddeegghiijkllmnnoopqrsttuuvwwyzdhf"),
    **_pairs("ᎪᏴᏟᎠᎬᎻᎫᏦᏞᎷΝᏢᏒᏚᎢᏙᎳᎩᏃ", "abcdehjklmnprstvwyz"),
    **_pairs("ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ", "abcdefghijklmnoprstuvwxyz"),
    **{chr(0x1F150 + n): chr(97 + n) for n in range(26)},
    **{chr(0x1F170 + n): chr(97 + n) for n in range(26)},
    **{chr(0x1F1E6 + n): chr(97 + n) for n in range(26)},
    **{chr(0x2776 + n): str(n + 1) for n in range(9)},
    "æ": "ae", "œ": "oe", "ß": "ss", "þ": "p", "ð": "d", "℮": "e", "㏑": "ln",
    "💯": "100", "🆓": "free", "🔝": "top", "🆒": "cool", "🆕": "new",
}  # fmt: skip
"""A letter → the Latin letters that it looks like, both without case."""

LEET = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g", "@": "a", "$": "s",
        "€": "e", "£": "l", "¢": "c", "+": "t", "!": "i", "|": "i", "¡": "i", "1": "i"}  # fmt: skip
"""Digits and signs that stand for letters; 1, ! and | also stand for l."""

CHARACTERS = {
    **_pairs("蕞朂冣㝡嗺樶", "最最最最最最"),
    **_pairs("苐㐧", "第第"),
    **_pairs("壹弌壱弍贰貳叁參", "一一一二二二三三"),
    **_pairs("囯囶圀兲玍", "国国国天生"),
    **_pairs("沵伱祢仴苆瑬", "你你你月切流"),
    **_pairs("徣恏釢涐莪硪", "借好奶我我我"),
    **_pairs("涳价侒洧鍀哋", "空价安有得的"),
    **_pairs("冇夲亾冭", "无本人太"),
    **_pairs("〇", "零"),
    "🐴": "马", "🐎": "马", "🐔": "鸡", "🐓": "鸡", "🐶": "狗", "🐕": "狗", "🐷": "猪",
    "🐖": "猪", "🐂": "牛", "🐮": "牛", "🐄": "牛", "🌿": "草", "🈚": "无", "🈶": "有",
    "🈵": "满", "🈹": "割", "🈲": "禁", "🉐": "得",
}  # fmt: skip
"""A disguised or drawn Chinese character → the plain one."""

SPLIT = {
    "曰取": "最", "日取": "最", "女子": "好", "亻圭": "佳", "人圭": "佳", "亻氐": "低",
    "人氐": "低", "竹弟": "第", "⺮弟": "第", "纟及": "级", "丝及": "级", "木及": "极",
    "丁页": "顶", "人王": "全", "入王": "全", "犭虫": "独", "口隹": "唯", "囗玉": "国",
    "口玉": "国", "马扁": "骗", "亻叚": "假", "人叚": "假", "贝者": "赌", "女支": "妓",
    "女表": "婊", "犭句": "狗", "犬句": "狗", "扌喿": "操", "才喿": "操", "提手喿": "操",
    "女马": "妈", "亻尔": "你", "人尔": "你", "尸比": "屁", "尸穴": "屄", "木仓": "枪",
    "亻炎": "倓", "氵台": "治", "三点水台": "治", "疒俞": "愈", "木艮": "根", "疒嵒": "癌",
    "貝兼": "赚", "贝兼": "赚", "亻呆": "保", "人呆": "保", "禾急": "稳",
    "贝宓": "赔", "贝咅": "赔", "亻介": "价", "人介": "价", "亻更": "便", "氵咸": "减",
    "冫咸": "减", "月半": "胖", "月巴": "肥", "黑占": "点", "歹戋": "残", "疒只": "疾",
    "弓虽": "强", "白勺": "的", "禾口": "和", "讠果": "课", "言果": "课", "免女": "娩",
    "亻专": "传", "糸及": "级", "页丁": "顶", "亻吉": "佶", "亻夫": "伕", "亻建": "健",
    "金肖": "销", "钅肖": "销", "贝反": "贩", "門虫": "闽", "口乞": "吃", "口合": "哈",
    "亻旦": "但", "木又": "权", "土成": "城", "王见": "现", "不正": "歪", "冂亻": "内",
    "忄生": "性", "竖心旁生": "性", "女干": "奸", "氵去": "法", "犭者": "猪",
}  # fmt: skip
"""Parts written side by side → the character."""
