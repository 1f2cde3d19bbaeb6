"""Personal data in copy, found by its form in the folded text, also where it is spelled out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ingestion.scrub import REGIONS, is_bank_card, is_identity_card

Spans = Iterator[tuple[int, int]]
_NUMERALS = str.maketrans("零〇一二三四五六七八九幺两", "0012345678912")
_IN_NUMBER = re.compile(r"(?<=\d)[oil](?=[\doil])")
_WORD = (
    "(?:double |triple )?(?:hundred|thousand|zero|oh|one|two|three|four|five|six|seven|eight|nine)"
)
_IN_WORDS = re.compile(rf"\b(?:{_WORD}[\s,-]{{1,2}}){{6,}}{_WORD}\b")
_NOT_COUNTING = re.compile(r"\b(?:zero|oh|double|triple)\b")
"""A nought, or the same digit twice, tells a number said digit by digit from counting."""
_LETTER_DIGITS = str.maketrans("oil", "011")
_SPELLED = re.compile(r"(?:[零〇一二三四五六七八九幺两][\W_]{0,2}){6,}")
_AFTER_LATIN = re.compile(r"(?<=[a-z\d_-])[零〇一二三四五六七八九幺]{2,}")
_MANY = re.compile(r"(?:\d[^\da-z\u4e00-\u9fff]{0,3}){6}\d")
_DIGIT = re.compile(r"\d")
_GAP = r"[^\da-z\u4e00-\u9fff]{0,3}"

_EMAIL = re.compile(
    r"[\w.+-]+\s?@\s?[\w-]+(?:\s?\.\s?[\w-]+)+"
    r"|[\w.+-]+\s*[\[({<【（]\s*(?:at|@"
    r"|艾特)\s*[\])}>】）]\s*[\w-]+(?:\s*[\[({<【（]?\s*(?:dot|点|\.)"
    r"\s*[\])}>】）]?\s*[a-z]{2,})+"
    r"|[\w.+-]+\s+at\s+[\w-]+\s+dot\s+[a-z]{2,}|[\w.+-]+\s?艾特\s?[\w-]+\s?[点.]\s?[a-z]{2,}"
    r"|[a-z][\w.+-]*_at_[\w.-]+\.[a-z]{2,}"
    r"|[\w.+-]+\s*[\[({<【（]?\s*(?:at|@|艾特)\s*[\])}>】）]?\s*(?:qq|163|126|gmail|hotmail"
    r"|outlook|sina|yahoo|foxmail|icloud)\s*[\[({<【（]?\s*(?:dot|点|\."
    r"|。)\s*[\])}>】）]?\s*(?:com|cn|net|co)\b"
    r"|[\w.+-]+#(?:qq|163|126|gmail|hotmail|outlook|sina|yahoo)\.c(?:om|n)\b"
)
_MOBILE = re.compile(rf"(?<!\d)(?:\+?86{_GAP})?1{_GAP}[3-9](?:{_GAP}\d){{9}}(?!\d)")
_DATED = re.compile(r"20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)")
"""A number that begins with a date, as a batch's does: 20260114-07."""
_LANDLINE = re.compile(r"(?<!\d)\(?0(?:10|2\d|[3-9]\d{2})\)?[\s-]{0,2}[2-8]\d{6,7}(?!\d)")
_SERVICE = re.compile(
    r"(?<!\d)(?:[48]00[\s-]?\d{3,4}[\s-]?\d{3,4}|0?[38]00[\s-]?\d{3,4}[\s-]?\d{3,4})"
)
_IDENTITY = re.compile(rf"(?<!\d)\d(?:{_GAP}\d){{16}}{_GAP}[\dx](?![\da-z])")
_BORN = re.compile(r"[1-8]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}")
"""A region, a date of birth and a number, though the check digit be wrong."""
_OTHER_IDENTITY = re.compile(
    r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])|(?:身份证|护照)\w{0,4}\W{0,3}[a-z]?\d{7,17}[\dx]"
    r"|\b(?:ssn|social security(?: number)?|passport(?: number| no)?)\W{0,4}[a-z]?\d[\d -]{6,}\d"
    r"|\b[a-ceghj-prstw-z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[a-d]\b"
    r"|(?:护照|通行证|台胞证|军官证|驾驶证|驾照|居住证|社保|医保|学号|工号|病历"
    r"|住院)\w{0,3}?(?:号码?)?\W{0,3}"
    r"(?:[是为])?\W{0,2}[a-z]{0,3}\s?\d[\d\s-]{4,}"
    r"|\b(?:passport|visa|driving licen[cs]e|driver'?s licen[cs]e|licen[cs]e|nhs"
    r"|national insurance|ni"
    r"|medicare|medical record|patient|student|employee|tax|green card|id card|identity card)"
    r"(?: (?:number|no|nr|id|card))*\W{0,4}(?:is "
    r"|was )?\W{0,2}(?=[a-z\d -]*\d{3})[a-z]{0,5} ?\d[\da-z -]{4,}"
    r"|(?:身份证|证件)\w{0,4}\W{0,3}(?:是|为|尾号)?\W{0,2}\d{4,}"
    r"|\b(?:pin|password|passcode)(?: code| number)?\W{0,3}(?:is |: )?\W{0,2}\d{4,}\b"
    r"|密码\W{0,2}(?:是|为)?\W{0,2}\w*\d{3,}"
)
_BIRTH = re.compile(
    r"\b(?:date of birth|dob|d\.o\.b\.?|born|birthday)(?: (?:on|is|was))*\W{0,3}(?:the )?"
    r"(?:\d{1,4}[/. -]\d{1,2}[/. -]\d{2,4}|\d{1,2}(?:st|nd|rd|th)? [a-z]{3,9},? \d{4}"
    r"|[a-z]{3,9} \d{1,2}(?:st|nd|rd|th)?,? \d{4})"
    r"|(?:出生(?:于|日期|年月)?|生日|生于)\W{0,3}(?:是|为|在)?\W{0,2}(?:19|20)\d{2}\s?[年./-]"
)
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]\s?[a-z][\s·.•-]{0,2}("
    r"?=[a-z\d]*\d)[a-z\d]{5,6}(?![a-z\d])"
    r"|\b(?:plates?|number ?plates?|registration|reg|licen[cs]e plates?)(?: (?:number|no|is"
    r"|mark|of))*\W{1,3}"
    r"(?=[a-z\d -]{0,4}\d)(?=[a-z\d -]{0,6}[a-z])(?=(?:[ -]?[a-z\d]){5,8}\b)[a-z\d]{1,4}[ -]"
    r"?[a-z\d]{1,4}\b"
    r"|\b(?:cars?|van|vehicle|golf|bmw|audi|ford|tesla|toyota|volvo|fiesta|corsa|mini"
    r"|mercedes|honda|taxi|lorry|truck"
    r"|motorbike|scooter|drives|driving|parked)\b.{0,40}?\b[a-z]{2}\d{2} ?[a-z]{3}\b"
    r"|\b[a-z]{2}\d{2} ?[a-z]{3}\b.{0,30}?\b(?:car|van|vehicle|golf|bmw|audi|ford|tesla"
    r"|parked|owner|driver)\b"
)
"""Number plates: Chinese ones by their form, others beside a word that says what they are."""
_CARD = re.compile(rf"(?<!\d)[3-6](?:{_GAP}\d){{13,18}}(?!\d)")
_GROUPED_CARD = re.compile(
    r"(?<![\d-])[3-6]\d{3}([ -])\d{4}\1\d{4}\1\d{3,4}(?:\1\d{1,3})?(?![\d-])"
)
_LABELLED_CARD = re.compile(
    r"(?:银行卡|信用卡|储蓄卡|卡号|card (?:number|no))\D{0,6}\d(?:[ -]?\d){11,18}"
)
_BANK = re.compile(
    r"\b(?:iban\W{0,3})[a-z]{2} ?\d{2}(?: ?[a-z\d]{4}){2,7}(?: ?[a-z\d]{1,3})?"
    r"|\b(?:gb|de|fr|es|it|nl|ie|be|at|ch|pl|pt|se|dk|no"
    r"|fi)\d{2}(?: ?[a-z\d]{4}){3,7}(?: ?[a-z\d]{1,3})?\b"
    r"|\bsort ?code\W{0,3}\d{2}[ -]?\d{2}[ -]?\d{2}|\b(?:account|acct|a/c)(?: (?:number|no"
    r"|nr))?\W{0,3}(?:is )?\d[\d -]{5,}\d"
    r"|(?:账号|帐号|账户|帐户|户头|收款码|打款|转账|汇款|汇到|打到|支付宝|卡号"
    r"|银行卡)\D{0,8}\d[\d\s-]{6,}\d"
    r"|\bcards?\b.{0,20}\bending(?: in| with)? \d{4}|\b(?:cvv|cvc"
    r"|security code)\W{0,3}(?:is )?\d{3,4}|(?:卡号?|尾号)\D{0,4}尾号?\D{0,2}\d{4}"
    r"|\b(?:paypal|venmo|cash ?app|zelle|revolut)\b[^\d@$]{0,14}[@$]\w{3,}"
)
"""Bank accounts: an IBAN, or digits beside a word that says what they are."""
_DIALLED = re.compile(
    r"(?<![\d+])\+ ?\d{1,3}(?:[\s().-]{0,2}\d){7,12}(?!\d)"
    r"|(?<![\d-])07\d{3}[\s-]?\d{3}[\s-]?\d{3}(?!\d)|(?<![\d-])0(?:20|1\d{2,3}"
    r"|2\d)[\s-]\d{3,4}[\s-]\d{3,4}(?!\d)"
    r"|(?<![\d-])(?:1[\s-])?\(?[2-9]\d{2}\)?[\s.-]\d{3}[\s.-]\d{4}(?![\d-])"
    r"|(?:\b(?:call|ring|phone|tel|telephone|mobile|cell|text|sms|whatsapp|dial|number is"
    r"|fax|contact|reach)\b"
    r"|电话|手机|联系|致电|热线|打给|短信|拨打|号码|座机"
    r"|来电)[^\d\n]{0,24}?\+?\(?\d(?:[\s().-]{0,2}\d){6,13}(?!\d)"
)
"""Numbers in the form of a country's phone numbers, or beside a word that says what they are."""
_NO_PHONE = re.compile(
    r"(?:\b(?:part|model|sku|order|item|batch|lot|ref|reference|serial|isbn|ean|barcode"
    r"|tracking|parcel|style|art"
    r"|article|code|version|patent|invoice|product|cat|catalogue)\b(?: (?:number|no|nr|id|code))?"
    r"|订单|编号|条码|条形码|型号|货号|批号|单号|运单|书号|款号|产品号|序列号|国标|执行标准"
    r"|生产许可证?)\W{0,4}[\da-z-]*$"
)
"""What says that the number behind it is no phone number."""
_ADDRESS = re.compile(
    r"\b\d{1,5}[a-z]?,?\s+(?:[a-z][\w'-]*\s+){1,3}(?:street|st|road|rd|avenue|ave|lane|ln|drive|"
    r"boulevard|blvd|court|crescent|terrace|close|grove|gardens|mews"
    r"|(?<!its )(?<!the )(?<!your )(?<!our )way)\b"
    r"|\b(?:flat|apartment|apt|unit|suite) ?\d+[a-z]?,? (?:at )?\d+[a-z]? [a-z]+"
    r"|\b(?:lives?|living|resid(?:es|ing)|home address|house|home) (?:is |at |on "
    r"|in )+(?:no\.? |number )?\d+[a-z]?,? [a-z]+"
    r"|(?:住在|家住|住址|家庭地址|收货地址|寄往|送到|寄给|上门到|家在|住"
    r"|地址)[^，。！？\n]{2,18}?\d+\s?(?:号|栋|幢|室|单元|弄|座|房|户)"
    r"|\d+\s?(?:号楼|栋|幢|座)\s?\d*\s?(?:单元|门)?\s?\d{2,4}\s?(?:室|房|户|号)?(?!元)"
    r"|(?:小区|花园|公寓|家园|新村|大院|胡同|宿舍|苑|庭|府"
    r"|里)[^，。！？\n\d]{0,4}\d+[^，。！？\n]{0,6}?(?:单元|栋|幢|号楼|室)"
    r"|\b[a-z]{1,2}\d[a-z\d]?\s\d[abd-hjlnp-uw-z]{2}\b"
    r"|[\u4e00-\u9fff]{2,}?(?:路|街|道|巷|弄"
    r"|村)\s?\d+\s?[号弄][\u4e00-\u9fff\d\s]{0,14}?\d\s?(?:室|单元|栋|幢|房|楼|门)"
    r"|[\u4e00-\u9fff]{2,}(?:小区|花园|公寓|家园|苑|新村)\s?\d+\s?[号栋幢座]?(?:楼"
    r"|单元)?\s?\d*\s?(?:单元|室|楼|号)"
    r"|(?:寄到|寄往|送到|送至|收货地址|家庭住址|住址|家住"
    r"|住在)\W{0,3}[\u4e00-\u9fff]{2,}?(?:路|街|道|巷|弄|村)\s?\d+\s?号"
)
_ACCOUNT = re.compile(
    r"(?:(?:[微威薇徽维葳巍危喂卫]|v|w|wei)\s?[❤♥💚]?\s?(?:信|芯|心|新|星|xin|x|❤|♥|💚)|威❤"
    r"|[加+]\s?[微薇威卫维魏v❤]|绿泡泡|绿色软件|小绿书"
    r"|加v|扣扣|抠抠|蔻蔻|叩叩|球球|企鹅号?|飞信|钉钉|小红书|抖音|快手|微博|闲鱼|直播间号"
    r"|陌陌|探探"
    r"|(?<![a-z])(?:we\s?chat|weixin|wei xin|wechat|[vw]x|q\s?q|whats ?app|telegram|tg"
    r"|snapchat|snap|skype|instagram|insta|ig"
    r"|tiktok|facebook|fb|discord|kik|viber|line|signal|twitter|x|messenger|onlyfans|threads"
    r"|linkedin)(?![a-z]))"
    r"\s?(?:号码?|搜|[❤♥💚]|群|id|同号|me(?: on| at)?|us(?: on| at)?|handle|name|username"
    r"|account|user|账号|帐号|联系|私聊|加我|my)*"
    r"\s?(?:[:=是为～~-]|is|under|as|at|on)?\s?@?"
    r"(?:[a-z][a-z\d_-]*\d[\w-]*|[a-z][\w.]*_\w+|\d(?: ?\d){4,11})"
    r"|(?:微信号?|wechat|[vw]x|qq|微)\s?(?:号|id)?\s?[:=]\s?@?[a-z][a-z\d_.-]{4,}"
    r"|(?<![\w.])@[a-z][\w.]*[\d_][\w.]*(?![\w@])"
    r"|\b(?:dm|message|msg|add|find|follow|text|contact|pm|slide into) (?:me|him|her|us"
    r"|\w+)(?: \w+)? ?(?:on|at|via) (?:\w+ ?){1,2}[:,]? ?(?:@|as )\w{3,}"
)


def _numbers(plain: str) -> str:
    """The same length, with digits for numerals that are spelled out and for o, i and l between."""
    text = _SPELLED.sub(lambda found: found[0].translate(_NUMERALS), plain)
    return _IN_NUMBER.sub(lambda found: found[0].translate(_LETTER_DIGITS), text)


def _email(plain: str) -> Spans:
    if "@" in plain or "at" in plain or "艾特" in plain or "#" in plain:
        yield from (found.span() for found in _EMAIL.finditer(plain))


def _phone(plain: str) -> Spans:
    for found in _IN_WORDS.finditer(plain):
        if _NOT_COUNTING.search(found[0]):
            yield found.span()
    text = _numbers(plain)
    if _MANY.search(text) is None:
        return
    service = [found.span() for found in _SERVICE.finditer(text)]
    for begin, end in (*_formed(text), *_dialled(text)):
        number = re.search(r"[+(]*\d", text[begin:end])
        first = begin + (number.start() if number else 0)
        if _NO_PHONE.search(text[max(first - 30, 0) : first]):
            continue
        if not any(start < end and begin < stop for start, stop in service):
            yield begin, end


def _formed(text: str) -> Spans:
    for pattern in (_MOBILE, _LANDLINE, _DIALLED):
        yield from (found.span() for found in pattern.finditer(text))


def _dialled(text: str) -> Spans:
    import phonenumbers

    kinds = phonenumbers.PhoneNumberType
    shared = (kinds.TOLL_FREE, kinds.SHARED_COST, kinds.PREMIUM_RATE, kinds.UAN)
    for region in REGIONS:
        for match in phonenumbers.PhoneNumberMatcher(text, region):
            if phonenumbers.number_type(match.number) in shared:
                continue
            if match.raw_string.isdigit() and not match.raw_string.startswith("0"):
                continue  # as likely an order number
            if _DATED.match(match.raw_string):
                continue  # a batch or an order
            yield match.start, match.end


def _identity(plain: str) -> Spans:
    text = _numbers(plain)
    if _DIGIT.search(text):
        for pattern in (_OTHER_IDENTITY, _BIRTH):
            yield from (found.span() for found in pattern.finditer(text))
    if _MANY.search(text) is None:
        return
    for found in _IDENTITY.finditer(text):
        digits = re.sub(r"[^\dx]", "", found[0])
        if is_identity_card(digits) or _BORN.match(digits):
            yield found.span()


def _plate(plain: str) -> Spans:
    if _DIGIT.search(plain):
        yield from (found.span() for found in _PLATE.finditer(plain))


def _bank_card(plain: str) -> Spans:
    text = _numbers(plain)
    if _DIGIT.search(text):
        yield from (found.span() for found in _BANK.finditer(text))
    if _MANY.search(text) is None:
        return
    yield from (found.span() for found in _CARD.finditer(text) if is_bank_card(found[0]))
    yield from (found.span() for found in _LABELLED_CARD.finditer(text))
    yield from (found.span() for found in _GROUPED_CARD.finditer(text))


def _address(plain: str) -> Spans:
    text = plain.translate(_NUMERALS)
    if _DIGIT.search(text):
        yield from (found.span() for found in _ADDRESS.finditer(text))


def _account(plain: str) -> Spans:
    text = _AFTER_LATIN.sub(lambda found: found[0].translate(_NUMERALS), _numbers(plain))
    yield from (found.span() for found in _ACCOUNT.finditer(text))


DETECT: dict[str, Callable[[str], Spans]] = {
    "email": _email,
    "phone": _phone,
    "identity": _identity,
    "plate": _plate,
    "bank-card": _bank_card,
    "address": _address,
    "account": _account,
}
"""Kind → its places in a folded text."""
