"""The sandbox's listing: pairs, currencies, reference prices, and how the exchange spells numbers.

One line of `_LISTING` is a currency: code, reference price in USD, currencies it is quoted in,
symbol where it differs from the code, label. Prices are those of spring 2021, rounded. Pair names
follow the exchange: six letters, or a colon where a leg is longer than three.
"""

import functools
import math
from dataclasses import dataclass

_LISTING = """
AAA 1 BBB AAA "Paper A"
AAVE 373.2 USD,UST AAVE Aave
ADA 1.19 BTC,USD,UST ADA Cardano
ALBT 1.05 USD,UST ALBT AllianceBlock
ALG 1.42 BTC,USD,UST ALGO Algorand
AMP 0.98 BTC,USD,UST AMPL Ampleforth
ANT 11.2 BTC,ETH,USD ANT Aragon
ATO 23.4 BTC,ETH,USD ATOM Cosmos
AVAX 30.1 USD,UST AVAX Avalanche
B21X 0.24 USD,UST B21 B21
BAL 62 USD,UST BAL Balancer
BAND 19.7 USD,UST BAND Band Protocol
BAT 1.41 BTC,ETH,USD BAT Basic Attention Token
BCHABC 48.5 USD XEC Bitcoin Cash ABC
BCHN 645 USD BCH Bitcoin Cash Node
BEST 0.84 USD BEST Bitpanda
BFT 0.31 USD BFT BnkToTheFuture
BMI 3.4 USD,UST BMI Bridge Mutual
BNT 8.1 USD BNT Bancor
BOSON 4.3 USD,UST BOSON Boson Protocol
BSV 274 BTC,USD BSV Bitcoin SV
BTC 58630 CNHT,EUR,GBP,JPY,USD,UST,XCH BTC Bitcoin
BTG 78.4 BTC,USD BTG Bitcoin Gold
BTSE 7.6 USD BTSE BTSE
BTT 0.0072 USD BTT BitTorrent
CEL 6.9 USD,UST CEL Celsius
CHZ 0.54 USD,UST CHZ Chiliz
CLO 0.021 USD CLO Callisto
CNH 0.1524 CNHT CNH Offshore Yuan
COMP 472 USD,UST COMP Compound
CTK 2.43 USD,UST CTK CertiK
DAI 1 BTC,ETH,USD DAI Dai Stablecoin
DAPP 0.048 USD,UST DAPP LiquidApps
DAT 0.185 BTC,USD DATA Streamr
DGB 0.125 USD DGB DigiByte
DGX 55 USD DGX Digix Gold
DOG 0.0613 BTC,USD,UST DOGE Dogecoin
DOT 44.2 BTC,USD,UST DOT Polkadot
DSH 263 BTC,USD DASH Dash
DUSK 0.291 BTC,USD DUSK Dusk Network
EDO 1.32 BTC,ETH,USD PNT pNetwork
EGLD 189 USD,UST EGLD Elrond
ENJ 2.81 USD ENJ Enjin
EOS 6.12 BTC,ETH,EUR,GBP,JPY,USD,UST EOS EOS
EOSDT 0.99 USD,UST EOSDT EOSDT
ESS 0.0043 USD ESS Essentia
ETC 17.2 BTC,USD ETC Ethereum Classic
ETH 2112 BTC,EUR,GBP,JPY,USD,UST ETH Ethereum
ETH2X 2080 ETH,USD,UST ETH2X Ethereum 2
ETP 0.81 BTC,ETH,USD ETP Metaverse
EUS 1.178 BTC,USD EURS Stasis Euro
EUT 1.176 EUR,USD,UST EURt Tether Euro
EXRD 0.182 BTC,USD EXRD e-Radix
FET 0.66 USD,UST FET Fetch.ai
FIL 172 USD,UST FIL Filecoin
FTT 49.8 USD,UST FTT FTX Token
FUN 0.042 USD FUN FunFair
GNO 152 USD GNO Gnosis
GNT 0.52 BTC,ETH,USD GLM Golem
GOT 0.081 EUR,USD GOT ParkinGO
GTX 2.46 USD,UST GT Gate.io
HEZ 6.4 USD,UST HEZ Hermez
IOT 1.68 BTC,ETH,EUR,GBP,JPY,USD IOTA Iota
IQX 0.017 USD,UST IQ Everipedia
JST 0.121 BTC,USD,UST JST JUST
KAN 0.0097 USD,UST KAN BitKan
KNC 3.35 BTC,USD KNC Kyber
KSM 438 USD,UST KSM Kusama
LEO 2.45 BTC,EOS,ETH,USD,UST LEO Unus Sed LEO
LINK 31.2 USD,UST LINK Chainlink
LRC 0.593 BTC,USD LRC Loopring
LTC 222 BTC,USD,UST LTC Litecoin
LUNA 17.1 USD,UST LUNA Terra
LYM 0.034 USD LYM Lympo
MKR 2150 BTC,ETH,USD MKR Maker
MLN 79 USD MLN Enzyme
MNA 1.03 BTC,USD MANA Decentraland
MOB 52 USD,UST MOB MobileCoin
NEAR 6.3 USD,UST NEAR Near
NEC 0.31 ETH,USD NEC Nectar
NEO 55.4 BTC,ETH,EUR,GBP,JPY,USD NEO Neo
NUT 0.0213 USD,UST NUT Native Utility Token
ODE 0.174 USD ODEM Odem
OMG 9.82 BTC,ETH,USD OMG OMG Network
OMN 7.3 BTC,USD OMNI Omni
ORS 0.041 USD ORS Origin Sport
PAS 0.0174 USD PASS Blockpass
PAX 1 USD,UST PAX Paxos Standard
PLU 11.9 USD PLU Pluton
PNK 0.224 ETH,USD PNK Kleros
POA 0.102 USD POA POA Network
QSH 0.121 USD QASH Qash
QTM 15.2 BTC,USD QTUM Qtum
RBT 58480 BTC,USD RBTC Rootstock
REP 36.9 BTC,USD REP Augur
REQ 0.1519 USD REQ Request
RINGX 0.045 USD RING Darwinia
RRB 0.012 USD,UST RRB RenrenBit
RRT 1.03 USD RRT Recovery Right
SAN 0.342 BTC,ETH,USD SAN Santiment
SNG 0.017 USD SNGLS SingularDTV
SNT 0.184 USD SNT Status
SNX 18.6 USD,UST SNX Synthetix
SOL 24.7 USD,UST SOL Solana
STJ 2.42 USD STORJ Storj
SUKU 1.42 USD,UST SUKU Suku
SUN 32.4 USD,UST SUN Sun
SUSHI 15.1 USD,UST SUSHI SushiSwap
TESTBTC 58630 TESTUSD,TESTUSDT TESTBTC "Paper Bitcoin"
TRX 0.124 BTC,ETH,EUR,USD TRX Tron
TSD 1 USD,UST TUSD TrueUSD
UDC 1 USD,UST USDC USD Coin
UNI 29.6 USD,UST UNI Uniswap
UOP 0.28 USD,UST UOP Utopia
UOS 0.94 BTC,USD UOS Ultra
USK 1 USD USDK USDK
UST 1.0004 CNHT,USD USDt Tether USDt
UTK 0.71 USD UTK Utrust
VEE 0.0271 USD VEE BLOCKv
VET 0.1183 BTC,USD VET VeChain
VSY 0.076 BTC,USD VSYS V Systems
WAX 0.262 USD WAX Wax
WBT 58600 ETH,USD WBTC Wrapped Bitcoin
XAUT 1738 BTC,USD,UST XAUt Tether Gold
XCH 1.083 ETH,USD XCHF CryptoFranc
XDC 0.067 USD,UST XDC XinFin
XLM 0.512 BTC,ETH,USD,UST XLM Stellar
XMR 263 BTC,USD,UST XMR Monero
XRA 0.0133 USD XRA Xriba
XRP 0.937 BTC,USD,UST XRP Ripple
XSN 0.41 USD XSN Stakenet
XTZ 6.18 BTC,USD XTZ Tezos
XVG 0.0393 USD XVG Verge
YFI 41200 USD,UST YFI yearn.finance
YGG 0.00092 USD YEED Yggdrash
YYW 0.031 USD YOYOW YOYOW
ZBT 0.61 USD ZB ZB Token
ZCN 0.55 USD ZCN 0Chain
ZEC 184 BTC,USD ZEC Zcash
ZIL 0.218 BTC,USD ZIL Zilliqa
ZRX 1.86 BTC,ETH,USD ZRX 0x
BBB 1.6 - BBB "Paper B"
CNHT 0.1521 - CNHt Tether Yuan
EUR 1.187 - EUR Euro
GBP 1.384 - GBP Pound Sterling
JPY 0.009062 - JPY Japanese Yen
TESTUSD 1 - TESTUSD "Paper US Dollar"
TESTUSDT 1.0004 - TESTUSDT "Paper Tether"
USD 1 - USD US Dollar
BTCDOM 51.7 - BTCDOM Bitcoin Dominance
DOGE 0.0613 - DOGE Dogecoin
EUROPE50IX 3970 - EUROPE50IX European Index
GERMANY30IX 15210 - GERMANY30IX German Index
XAG 25.1 - XAG Silver
"""

_FUTURES = {
    "UST": "ADA ALG AMP AVAX BTCDOM BTC DOGE DOT EOS ETH EUR EUROPE50IX FIL GBP GERMANY30IX IOT JPY"
    " LINK LTC LUNA SOL SUSHI UNI XAG XAUT XLM XMR XRP",
    "BTC": "DOT ETH LTC LUNA XAUT XRP",
    "TESTUSDT": "TESTBTC",
}


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MARGIN_BASES = _codes(
    """
    ADA ALG ATO AVAX BTC COMP DOG DOT DSH EGLD EOS ETC ETH FIL IOT LEO LINK LTC MKR NEO OMG
    SOL SUSHI TRX UNI UST XAUT XLM XMR XRP XTZ YFI ZEC ZRX TESTBTC
    """
)

_PEGGED = _codes(
    """
    USD UST UDC TSD PAX DAI USK TESTUSD TESTUSDT EUR EUT EUS GBP JPY CNH CNHT XCH EOSDT AAA
    BBB EUROPE50IX GERMANY30IX
    """
)

_MAJOR = _codes(
    """
    BTC ETH XRP LTC EOS ADA DOT LINK UNI SOL IOT XLM DOG FIL TRX UST
    """
)

FUNDING = {
    "USD": 0.00048, "UST": 0.00041, "BTC": 0.000062, "ETH": 0.000094, "EUR": 0.00021,
    "GBP": 0.00018, "JPY": 0.00012, "LTC": 0.00011, "XRP": 0.00015, "EOS": 0.00013,
    "IOT": 0.00022, "NEO": 0.00008, "ETC": 0.00017, "DSH": 0.00009, "XMR": 0.00012,
    "ZEC": 0.0001, "DOT": 0.00024, "ADA": 0.00019, "LINK": 0.00014, "TESTUSD": 0.0003,
}  # fmt: skip
"""Funding currency → reference daily rate."""


@dataclass(frozen=True)
class Currency:
    """One currency of the listing. `usd` is the reference price, `volatility` a day's deviation."""

    code: str
    usd: float
    symbol: str
    label: str
    volatility: float


@dataclass(frozen=True)
class Pair:
    """One listed pair. `name` is the conf spelling, without the leading `t`."""

    name: str
    base: str
    quote: str
    margin: bool = False
    future: bool = False

    @property
    def symbol(self) -> str:
        return f"t{self.name}"

    @property
    def known(self) -> bool:
        """Whether the listing knows the value of both legs (recorded pairs may be others)."""
        legs = (self.base.removesuffix("F0"), self.quote.removesuffix("F0"))
        return all(leg in CURRENCIES for leg in legs)

    @property
    def volatility(self) -> float:
        """A day's deviation of the price: that of the livelier leg."""
        return max(currency(self.base).volatility, currency(self.quote).volatility)

    @property
    def busy(self) -> bool:
        return self.trades_per_minute >= 3

    @property
    def trades_per_minute(self) -> float:
        """How busy the pair is: a made-up but plausible order of the real market."""
        dollar = self.quote in ("USD", "UST", "USTF0")
        if self.base in ("BTC", "ETH", "BTCF0"):
            return {"USD": 40.0, "UST": 20.0, "USTF0": 20.0}.get(self.quote, 3.0)
        if self.base.removesuffix("F0") in _MAJOR:
            return 4.0 if dollar else 0.6
        return 0.3 if dollar else 0.1

    @property
    def dollars_per_trade(self) -> float:
        if self.trades_per_minute >= 10:
            return 8000.0
        return 3000.0 if self.trades_per_minute >= 1 else 700.0


def pair_name(base: str, quote: str) -> str:
    """`BTC`, `USD` → `BTCUSD`; `AVAX`, `USD` → `AVAX:USD`."""
    return f"{base}:{quote}" if len(base) > 3 or len(quote) > 3 else base + quote


def split_pair(name: str) -> tuple[str, str]:
    """The legs of a pair name as conf spells it."""
    if ":" in name:
        base, _, quote = name.partition(":")
        return base, quote
    return name[:3], name[3:]


def _volatility(code: str) -> float:
    if code in _PEGGED:
        return 0.0008
    return 0.04 if code in _MAJOR else 0.06


def _read_listing() -> tuple[dict[str, Currency], tuple[Pair, ...]]:
    currencies: dict[str, Currency] = {}
    pairs: list[Pair] = []
    for line in _LISTING.strip().splitlines():
        code, usd, quotes, symbol, label = line.split(" ", 4)
        currencies[code] = Currency(code, float(usd), symbol, label.strip('"'), _volatility(code))
        pairs += [
            Pair(pair_name(code, quote), code, quote, margin=code in _MARGIN_BASES)
            for quote in quotes.split(",")
            if quote != "-"
        ]
    return currencies, tuple(sorted(pairs, key=lambda pair: pair.name))


def _read_futures() -> tuple[Pair, ...]:
    pairs = [
        Pair(f"{base}F0:{quote}F0", f"{base}F0", f"{quote}F0", future=True)
        for quote, bases in _FUTURES.items()
        for base in bases.split()
    ]
    return tuple(sorted(pairs, key=lambda pair: pair.name))


CURRENCIES, PAIRS = _read_listing()
FUTURES = _read_futures()


def currency(code: str) -> Currency:
    """The listed currency behind a code; `BTCF0` is worth a `BTC`."""
    return CURRENCIES[code.removesuffix("F0")]


def order_sizes(usd: float) -> tuple[str, str]:
    """Smallest and largest order of a currency worth `usd`, as conf spells them (`"4.0"`)."""
    return _size(one_digit(4.0 / usd)), _size(one_digit(20e6 / usd))


def one_digit(value: float) -> float:
    return float(f"{value:.0e}")


def _size(value: float) -> str:
    text = plain(value)
    return text if "." in text else f"{text}.0"


def five(value: float) -> float:
    """A price as the exchange keeps it: five significant digits, at most eight decimals."""
    return round(float(f"{value:.5g}"), 8)


def step(price: float) -> float:
    """The distance between two prices near `price` under the five-digit rule."""
    return max(10.0 ** (math.floor(math.log10(price)) - 4), 1e-8)


def plain(value: float) -> str:
    """Decimal text without exponent: `0.00004`, `5000`."""
    text = f"{value:.8f}".rstrip("0").rstrip(".")
    return text or "0"


@functools.lru_cache(maxsize=65536)
def spell(value: float | None) -> str:
    """JSON text of a number as the exchange writes it.

    Its front is JavaScript, and the recordings agree: whole numbers without `.0`, `0.00005767`
    with all its zeros, an exponent only below a millionth (`4.9e-7`).
    """
    if value is None:
        return "null"
    if value == int(value):
        return str(int(value))
    text = repr(value)
    if "e" not in text:
        return text
    digits, _, exponent = text.partition("e")
    if int(exponent) < -6:
        return f"{digits}e{int(exponent)}"
    decimals = len(digits.lstrip("-").replace(".", "")) - 1 - int(exponent)
    return f"{value:.{decimals}f}"


def spell_row(*values: float | None) -> str:
    """`[a,b,null]`."""
    return "[" + ",".join(map(spell, values)) + "]"
