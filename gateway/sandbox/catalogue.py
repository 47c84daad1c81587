"""Product types and parameters (FortiFlex API reference, section 4), as tools/metadata tells them and as creates check them."""

from dataclasses import dataclass
from typing import Any

from gateway.sandbox.models_of_hardware import FORTIAP, FORTIGATE, FORTISWITCH

VM, HARDWARE, CLOUD = "Virtual Machines", "Hardware", "Cloud Services"
FORM_IDS = {VM: 1, HARDWARE: 2, CLOUD: 3}  # 1 is documented, the others are ours
READ_ONLY_IDS = frozenset({47, 60, 85, 86, 87, 88})


@dataclass(frozen=True, slots=True)
class Parameter:
    """`kind` as tools/metadata names it. `zero_too`: 0 is allowed besides minimum..maximum. `up_only`: can't be lowered later."""

    id: int
    code: str
    name: str
    kind: str
    values: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    step: int | None = None
    zero_too: bool = False
    up_only: bool = False

    @property
    def default(self) -> str | None:
        """What a create without this parameter means; None = it must be given."""
        if self.kind == "MULTIVALUE" or "NONE" in self.values:
            return "NONE"
        if self.kind == "NUMERIC" and (self.zero_too or self.minimum == 0):
            return "0"
        return None


@dataclass(frozen=True, slots=True)
class Product:
    id: int
    name: str
    form: str
    serial_prefix: str
    parameters: tuple[Parameter, ...]

    def parameter(self, parameter_id: int) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.id == parameter_id), None)


def _number(
    id: int,
    code: str,
    name: str,
    low: int,
    high: int,
    *,
    step: int | None = None,
    zero_too: bool = False,
    up_only: bool = False,
) -> Parameter:
    return Parameter(id, code, name, "NUMERIC", (), low, high, step, zero_too, up_only)


def _one(id: int, code: str, name: str, values: str, *, up_only: bool = False) -> Parameter:
    return Parameter(id, code, name, "SINGLEVALUE", tuple(values.split()), up_only=up_only)


def _many(id: int, code: str, name: str, values: str) -> Parameter:
    return Parameter(id, code, name, "MULTIVALUE", tuple(values.split()))


def _metered(id: int, code: str, name: str) -> Parameter:
    return Parameter(id, code, name, "READONLY")


def _throughput(low: int) -> str:
    steps = [10, 25, 50, 75, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 900, *range(1000, 10_001, 500)]
    return " ".join(str(step) for step in steps if step >= low)


def _endpoints(id: int, name: str) -> Parameter:
    return _number(id, "ENDPOINT", name, 25, 25_000, zero_too=True)


PRODUCTS: dict[int, Product] = {
    product.id: product
    for product in [
        Product(1, "FortiGate Virtual Machine - Service Bundle", VM, "FGVMMLTM", (
            _number(1, "CPU", "Number of CPUs", 1, 96),
            _one(2, "SERVICEPACK", "Service Package", "FC UTP ENT ATP UTM 360"),
            _number(10, "VDOM", "Virtual Domains", 0, 500),
            _many(43, "SERVICES", "FortiGuard Services", "FGTAVDB FGTFAIS FGTISSS FGTDLDB FGTFGSA FGTFCSS"),
            _many(44, "CLOUDSERVICES", "Cloud Services", "FGTFAMS FGTSWNM FGTSOCA FGTFAZC FGTSWOS FGTFSPA"),
            _one(45, "SUPPORT", "Support Service", "FGTFCELU NONE"),
        )),
        Product(2, "FortiManager Virtual Machine", VM, "FMVMMLTM", (
            _number(30, "DEVICES", "Managed Devices", 1, 100_000),
            _number(9, "ADOM", "Administrative Domains", 0, 100_000),
        )),
        Product(3, "FortiWeb Virtual Machine - Service Bundle", VM, "FVVMMLTM", (
            _one(4, "CPU", "Number of CPUs", "1 2 4 8 16"),
            _one(5, "SERVICEPACK", "Service Package", "FWBSTD FWBADV FWBENT"),
        )),
        Product(4, "FortiGate Virtual Machine - A La Carte Services", VM, "FGVMMLTM", (
            _number(6, "CPU", "Number of CPUs", 1, 96),
            _many(7, "SERVICES", "FortiGuard Services", "IPS AVDB FURLDNS FGSA ISSS DLDB FAIS FURL IOTH"),
            _one(8, "SUPPORT", "Support Service", "FC247 ASET"),
            _number(11, "VDOM", "Virtual Domains", 0, 500),
            _many(12, "CLOUDSERVICES", "Cloud Services", "FAMS SWNM AFAC FAZC FSPA SWOS FMGC"),
        )),
        Product(5, "FortiClient EMS On-Prem", VM, "FEMSPOTM", (
            _endpoints(13, "ZTNA/VPN endpoints"),
            _endpoints(14, "EPP/ATP + ZTNA/VPN endpoints"),
            _endpoints(15, "Chromebook endpoints"),
            _one(16, "SUPPORT", "Support Service", "FCTFC247"),
            _many(36, "ADDONS", "Add-ons", "BPS"),
        )),
        Product(7, "FortiAnalyzer Virtual Machine", VM, "FZVMMLTM", (
            _number(21, "STORAGE", "Daily Storage (GB)", 5, 8300),
            _number(22, "ADOM", "Administrative Domains", 0, 1200),
            _one(23, "SUPPORT", "Support Service", "FAZFC247"),
            _many(58, "ADDONS", "Add-ons", "FAZISSS FAZFGSA FAZAISN"),
        )),
        Product(8, "FortiPortal Virtual Machine", VM, "FPVMMLTM", (_number(24, "DEVICES", "Managed Devices", 0, 100_000),)),
        Product(9, "FortiADC Virtual Machine", VM, "FDVMMLTM", (
            _one(25, "CPU", "Number of CPUs", "1 2 4 8 16 32"),
            _one(26, "SERVICEPACK", "Service Package", "FDVFC247 FDVNET FDVAPP FDVAI FDVSTD FDVADV"),
        )),
        Product(10, "FortiSOAR Virtual Machine", VM, "FSRVMLTM", (
            _one(69, "EDITION", "Edition", "FSRE FSRM FSRD FSRR"),
            _number(70, "USERS", "Additional Users", 0, 1000),
            _many(71, "ADDONS", "Add-ons", "FSRTIMS"),
        )),
        Product(11, "FortiMail Virtual Machine", VM, "FEVMMLTM", (
            _one(73, "CPU", "Number of CPUs", "1 2 4 8 16 32"),
            _one(74, "SERVICEPACK", "Service Package", "FMLBASE FMLATP"),
            _many(75, "ADDONS", "Add-ons", "FMLFEMS FMLFCAS FMLFEOP FMLFEEC"),
        )),
        Product(12, "FortiNAC Virtual Machine", VM, "FNVMMLTM", (
            _one(77, "SERVICEPACK", "Package", "FNCPLUS FNCPRO"),
            _number(78, "ENDPOINT", "Endpoints", 25, 100_000),
            _one(79, "SUPPORT", "Support Service", "FNCFC247"),
        )),
        Product(101, "FortiGate Hardware", HARDWARE, "FGT", (
            _one(27, "PRODUCTMODEL", "Model", FORTIGATE),
            _one(28, "SERVICEPACK", "Service Package", "FGHWFC247 FGHWFCEL FGHWATP FGHWUTP FGHWENT FGHWFCESN"),
            _many(29, "SERVICEPACK", "Add-ons", "FGHWFCELU FGHWFAMS FGHWFAIS FGHWSWNM FGHWDLDB FGHWFAZC FGHWSOCA FGHWMGAS FGHWSPAL "
                  "FGHWISSS FGHWSWOS FGHWAVDB FGHWNIDS FGHWFGSA FGHWFURL FGHWFSFG FGHWFCSS"),
        )),
        Product(102, "FortiAP Hardware", HARDWARE, "FP", (
            _one(55, "PRODUCTMODEL", "Model", FORTIAP),
            _one(56, "SERVICEPACK", "Support Service", "FAPHWFC247 FAPHWFCEL"),
            _many(57, "ADDONS", "Add-ons", "FAPHWFSFG"),
        )),
        Product(103, "FortiSwitch Hardware", HARDWARE, "FS", (
            _one(53, "PRODUCTMODEL", "Model", FORTISWITCH),
            _one(54, "SERVICEPACK", "Support Service", "FSWHWFC247 FSWHWFCEL"),
        )),
        Product(202, "FortiWeb Cloud - Private", CLOUD, "FWBCLE", (
            _one(32, "THROUGHPUT", "Average Throughput (Mbps)", _throughput(10)),
            _number(33, "APPLICATION", "Web Applications", 1, 5000),
        )),
        Product(203, "FortiWeb Cloud - Public", CLOUD, "FWBCLE", (
            _one(34, "THROUGHPUT", "Average Throughput (Mbps)", _throughput(25)),
            _number(35, "APPLICATION", "Web Applications", 1, 5000),
        )),
        Product(204, "FortiClient EMS Cloud", CLOUD, "FCTEMS", (
            _endpoints(37, "ZTNA"), _endpoints(38, "ZTNA + Forensics"), _endpoints(39, "EPP + ZTNA"),
            _endpoints(40, "EPP + ZTNA + Forensics"), _endpoints(41, "Chromebook"),
            _many(42, "ADDONS", "Add-ons", "BPS"),
        )),
        Product(205, "FortiSASE", CLOUD, "FSASEC", (
            _number(48, "USERS", "Users", 50, 50_000),
            _one(49, "SERVICEPACK", "Package", "FSASESTD FSASEADV FSASECOM"),
            _number(50, "BANDWIDTH", "Bandwidth (Mbps)", 25, 10_000, step=25, zero_too=True),
            _number(51, "DEDICATEDIP", "Dedicated IPs", 4, 65_534, zero_too=True),
            _number(59, "REGIONS", "Additional Compute Regions", 0, 16, up_only=True),
            _number(72, "ONRAMP", "SD-WAN On-Ramp Locations", 0, 8, up_only=True),
        )),
        Product(206, "FortiEDR MSSP", CLOUD, "FEDRCL", (
            _one(46, "SERVICEPACK", "Package", "FEDRPDR"),
            _metered(47, "ENDPOINT", "Endpoints"),
            _many(52, "ADDONS", "Add-ons", "FEDRXDR"),
            _number(76, "STORAGE", "Repository Storage", 0, 30_720, step=512, up_only=True),
        )),
        Product(207, "FortiNDR Cloud", CLOUD, "FNDRCL", (_metered(60, "USAGE", "Metered Usage"),)),
        Product(208, "FortiRecon", CLOUD, "FRNCLD", (
            _one(61, "SERVICEPACK", "Package", "FRNEASM FRNEASMBP FRNEASMBPACI"),
            _number(62, "ASSETS", "Assets", 200, 1_000_000, step=50),
            _number(63, "NETWORKS", "Internal Networks", 0, 100),
            _number(64, "EXECUTIVES", "Executives", 0, 1000),
            _number(65, "VENDORS", "Vendors", 0, 1000),
        )),
        Product(209, "FortiSIEM Cloud", CLOUD, "FSMCLD", (
            _number(66, "COMPUTE", "Compute Units", 10, 600, step=10),
            _number(67, "STORAGE", "Additional Online Storage", 500, 60_000, step=500, up_only=True),
            _number(68, "ARCHIVE", "Archive Storage", 0, 60_000, step=500, up_only=True),
        )),
        Product(211, "FortiAppSec", CLOUD, "FASCLD", (
            _many(82, "SERVICETYPE", "Service Types", "UCWAF UCGSLB"),
            _one(83, "SERVICEPACK", "WAF Package", "NONE UCWAFSTD UCWAFADV UCWAFENT", up_only=True),
            _many(84, "ADDONS", "WAF Add-ons", "UCSOCA"),
            _metered(85, "THROUGHPUT", "Throughput"), _metered(86, "APPLICATION", "Applications"),
            _metered(87, "QPS", "Queries per Second"), _metered(88, "HEALTHCHECK", "Health Checks"),
        )),
        Product(212, "FortiDLP", CLOUD, "FDLPCL", (
            _one(90, "SERVICEPACK", "Package", "DLPSTD DLPENT DLPENTP"),
            _number(91, "ENDPOINT", "Endpoints", 25, 100_000),
            _many(92, "ADDONS", "Add-ons", "BPS"),
        )),
    ]
}  # fmt: skip


def describe_catalogue() -> list[dict[str, Any]]:
    """`productTypes` of tools/metadata."""
    return [
        {
            "productTypeId": product.id,
            "name": product.name,
            "formFactor": {"formFactorId": FORM_IDS[product.form], "name": product.form},
            "parameters": [_describe_parameter(parameter) for parameter in product.parameters],
        }
        for product in PRODUCTS.values()
    ]


def _describe_parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "parameterId": parameter.id,
        "name": parameter.name,
        "type": parameter.kind,
        "minValue": 0 if parameter.zero_too else parameter.minimum,
        "maxValue": parameter.maximum,
        "step": parameter.step,
        "validValues": [{"value": value, "description": value} for value in parameter.values],
    }
