"""From the text of the raw columns to values: each read by itself, exactly, or not at all.

Digits are 0 to 9 alone: a \\d would take those of other scripts as well.
"""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

AMENITY_WORDS = {
    "tv": "TV",
    "elevator": "Elevator",
    "internet": "Internet",
    "air_conditioning": "Air conditioning",
    "kitchen": "Kitchen",
    "heating": "Heating",
    "wifi": "Wifi",
    "breakfast": "Breakfast",
}
"""Each flag, and the word that some amenity contains where it is true (upper and lower case matter)."""

_SIGNS = {
    "AUD": (r"A\$",),
    "BRL": (r"R\$",),
    "CAD": (r"C\$", r"CA\$"),
    "CHF": (r"Fr\.?", r"SFr\.?"),
    "CNY": ("¥", "￥", "元"),
    "CZK": ("Kč",),
    "DKK": (r"kr\.?",),
    "EUR": ("€",),
    "GBP": ("£",),
    "HKD": (r"HK\$",),
    "HUF": ("Ft",),
    "IDR": (r"Rp\.?",),
    "ILS": ("₪",),
    "INR": ("₹", r"Rs\.?"),
    "ISK": (r"kr\.?",),
    "JPY": ("¥", "￥", "円"),
    "KRW": ("₩", "￦", "원"),
    "MXN": (r"MX\$",),
    "MYR": ("RM",),
    "NOK": (r"kr\.?",),
    "NZD": (r"NZ\$",),
    "PHP": ("₱",),
    "PLN": ("zł",),
    "SEK": (r"kr\.?",),
    "SGD": (r"S\$",),
    "THB": ("฿",),
    "TRY": ("₺", "TL"),
    "TND": ("DT",),
    "TWD": (r"NT\$",),
    "USD": (r"US\$",),
    "VND": ("₫", "đ"),
    "ZAR": ("R",),
}
"""What people write for a currency besides its code, as regular expressions."""
_SPACE = "[ \u00a0\u202f\u2009]"
_NOTATIONS = (
    (r"^[0-9]{1,20},[0-9]{1,2}$", r"\."),
    (r"^[1-9][0-9]{0,2}(\.[0-9]{3}){1,6},[0-9]{1,2}$", r"\."),
    (r"^[1-9][0-9]{0,2}(\.[0-9]{3}){2,6}$", r"\."),
    (rf"^[1-9][0-9]{{0,2}}({_SPACE}[0-9]{{3}}){{1,6}}([.,][0-9]{{1,2}})?$", _SPACE),
    (r"^[1-9][0-9]{0,2}(['’][0-9]{3}){1,6}([.,][0-9]{1,2})?$", "['’]"),
)
"""How a price of one meaning may be written besides the dollar's way, and what parts its thousands then."""

_HALF_BATHS = ("Half-bath", "Shared half-bath", "Private half-bath")
_LARGEST = str(2**63 - 1)
_FLOATS_ARE_EXACT_BELOW = 2**53


def parse_integer(text: pd.Series) -> pd.Series:
    """Whole numbers as Int64: "3", "03" and "3.0" are 3; anything else, or one beyond 64 bits, is missing.

    Never by way of a float, which would change every long id of a column that has one unreadable value.
    """
    strings = pa.array(text)
    digits = pc.if_else(pc.ends_with(strings, ".0"), pc.utf8_slice_codeunits(strings, 0, -2), strings)
    # Numbers of equally many digits are in the order of their texts.
    fits = pc.or_(pc.less(pc.utf8_length(digits), len(_LARGEST)), pc.less_equal(digits, _LARGEST))
    whole = pc.and_(fits, pc.match_substring_regex(digits, r"^[0-9]{1,19}$"))
    numbers = pc.cast(pc.if_else(whole, digits, None), pa.int64())
    return numbers.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get).set_axis(text.index)


def parse_number(text: pd.Series) -> pd.Series:
    """Numbers with a decimal point as float64, each the nearest one; anything else is NaN, "inf" and "nan" too."""
    strings = pa.array(text)
    # Bounded in length, so that none is too large for a float.
    plain = pc.match_substring_regex(strings, r"^-?[0-9]{1,20}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,2})?$")
    return pc.cast(pc.if_else(plain, strings, None), pa.float64()).to_pandas().set_axis(text.index).astype("float64")


def was_a_float(text: pd.Series) -> pd.Series:
    """Where a whole number was stored as a floating-point one that has lost digits: "1.2E+17", or 2^53 and above."""
    strings = pa.array(text)
    scientific = pc.match_substring_regex(strings, r"^-?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+$")
    pointed = _mask(pc.match_substring_regex(strings, r"^[0-9]{16,}\.0$"), text)
    exact = (parse_integer(text.where(pointed)) < _FLOATS_ARE_EXACT_BELOW).fillna(value=False).astype(bool)
    return _mask(scientific, text) | (pointed & ~exact)


def parse_price(text: pd.Series, currency: str = "USD") -> pd.Series:
    """Prices as float64: "$1,234.00" is 1234.0; missing, unreadable and ambiguous ones are NaN.

    A dollar sign stands before prices of any currency: Inside Airbnb writes it everywhere. The currency's own sign or
    code is read before and behind a price, and of a currency other than the dollar other notations are as well:
    "€1.234,00", "1 234,50 kr". The sign or code of any other currency makes a price unreadable.
    """
    strings = _in_dollar_notation(pa.array(text), currency)
    plain = pc.match_substring_regex(strings, r"^\$?([0-9]{1,20}|[1-9][0-9]{0,2}(,[0-9]{3}){1,6})(\.[0-9]{1,40})?$")
    clear = pc.and_(plain, pc.invert(_three_decimals(strings)))
    digits = pc.replace_substring_regex(pc.if_else(clear, strings, None), r"[$,]", "")
    return pc.cast(digits, pa.float64()).to_pandas().set_axis(text.index).astype("float64")


def is_ambiguous_price(text: pd.Series, currency: str = "USD") -> pd.Series:
    """Where a point stands before exactly three digits: "$75.000" is 75 dollars to some and 75,000 to others."""
    return _mask(_three_decimals(_in_dollar_notation(pa.array(text), currency)), text)


def _three_decimals(strings: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.match_substring_regex(strings, r"^\$?[0-9,]+\.[0-9]{3}$")


def _in_dollar_notation(strings: pa.ChunkedArray, currency: str) -> pa.ChunkedArray:
    # Only what has one meaning is rewritten: a comma before one or two digits at the end is a decimal comma, and groups
    # of three digits are thousands where a decimal comma follows, where there are several, or between spaces.
    mark = rf"(?:\$|{'|'.join((currency, *_SIGNS.get(currency, ())))})"
    bare = pc.replace_substring_regex(pc.utf8_trim_whitespace(strings), rf"^{mark}{_SPACE}?([0-9].*)$", r"\1")
    bare = pc.replace_substring_regex(bare, rf"^(.*[0-9]){_SPACE}?{mark}$", r"\1")
    for notation, thousands in () if currency == "USD" else _NOTATIONS:
        matches = pc.match_substring_regex(bare, notation)
        joined = pc.replace_substring_regex(pc.if_else(matches, bare, None), thousands, "")
        bare = pc.if_else(matches, pc.replace_substring(joined, ",", "."), bare)
    return bare


def parse_name(text: pd.Series) -> pd.Series:
    """Names without spaces around, and in one form: an Ó of two code points is the Ó of one (Unicode's NFC)."""
    names = pc.utf8_trim_whitespace(pc.utf8_normalize(pa.array(text), form="NFC"))
    return names.to_pandas().set_axis(text.index).astype("str")


def parse_bathrooms(text: pd.Series, number: pd.Series) -> pd.Series:
    """Bathrooms as float64: the leading number of the text, 0.5 for a half-bath, else the numeric column.

    A word must follow the number: "1,5 baths" and "1/2 bath" are not 1.
    """
    leading = pc.replace_substring_regex(pa.array(text), r"^\s*([0-9]+(\.[0-9]+)?)(\s+[A-Za-z].*)?$", r"\1")
    halves = parse_number(leading.to_pandas().set_axis(text.index).astype("str")).mask(text.isin(_HALF_BATHS), 0.5)
    return halves.where(text.notna(), parse_number(number))


def amenity_flags(amenities: pd.Series) -> dict[str, pd.Series]:
    """For each flag of AMENITY_WORDS: whether some amenity in the JSON list contains its word."""
    escaped = amenities.str.contains(r"\\u00[2-7]", regex=True).fillna(False)
    # Only an escaped ASCII letter could hide a word from a search in the JSON text itself.
    text = amenities.mask(escaped, amenities[escaped].map(_unescape)) if escaped.any() else amenities
    return {
        flag: text.str.contains(word, regex=False).fillna(False).astype(bool) for flag, word in AMENITY_WORDS.items()
    }


def is_json_list(amenities: pd.Series) -> pd.Series:
    """Where the text is a JSON list of nothing but strings, be it empty."""
    string = r'"(?:[^"\\]|\\.)*"'
    return _mask(
        pc.match_substring_regex(pa.array(amenities), rf"^\s*\[\s*(?:{string}(?:\s*,\s*{string})*)?\s*\]\s*$"),
        amenities,
    )


def is_empty_list(amenities: pd.Series) -> pd.Series:
    """Where the text is a JSON list of nothing."""
    return _mask(pc.match_substring_regex(pa.array(amenities), r"^\s*\[\s*\]\s*$"), amenities)


def _unescape(amenities: str) -> str:
    try:
        return json.dumps(json.loads(amenities), ensure_ascii=False)
    except json.JSONDecodeError:
        return amenities


def _mask(matches: pa.ChunkedArray, like: pd.Series) -> pd.Series:
    return pc.fill_null(matches, fill_value=False).to_pandas().set_axis(like.index).astype(bool)
