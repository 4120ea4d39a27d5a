"""What the stubs of Apple's modules declare, and what Apple's headers say about it.

The crates ``objc2-core-ml``, ``objc2-ui-kit`` and ``objc2-foundation`` are generated from Apple's headers. Run
``python -m tests.ios_runner.apple_names`` (needs cargo) after a change of the stubs: it looks up every name in the
crates and writes what it finds to ``tests/golden/apple_names.json``.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CRATES = ("objc2-core-ml", "objc2-foundation", "objc2-ui-kit")
VERSION = "0.3.2"
STUBS = Path(__file__).with_name("stubs")
GOLDEN = Path(__file__).parents[1] / "golden" / "apple_names.json"

# Swift's names of methods whose selector is another word in Objective-C.
SELECTORS = {
    "MLModel.init(contentsOf:configuration:)": "modelWithContentsOfURL:configuration:error:",
    "MLModel.compileModel(at:)": "compileModelAtURL:error:",
    "MLModel.prediction(from:)": "predictionFromFeatures:error:",
    "MLMultiArray.init(dataPointer:shape:dataType:strides:deallocator:)": (
        "initWithDataPointer:shape:dataType:strides:deallocator:error:"
    ),
    "MLFeatureValue.init(multiArray:)": "featureValueWithMultiArray:",
    "MLFeatureProvider.featureValue(for:)": "featureValueForName:",
    "MLDictionaryFeatureProvider.init(dictionary:)": "initWithDictionary:error:",
    "UIApplication.shared": "sharedApplication",
    "UIApplication.isIdleTimerDisabled": "setIdleTimerDisabled:",
    "UISceneDelegate.scene(willConnectTo:options:)": "scene:willConnectToSession:options:",
    "UIColor.black": "blackColor",
    "UIColor.white": "whiteColor",
    "UIView.init(frame:)": "initWithFrame:",
    "UIView.addSubview()": "addSubview:",
    "UIWindow.init(windowScene:)": "initWithWindowScene:",
    "UIWindow.makeKeyAndVisible()": "makeKeyAndVisible",
    "UIViewController.init(nibName:bundle:)": "initWithNibName:bundle:",
    "UIViewController.init(coder:)": "initWithCoder:",
    "UIViewController.viewDidLoad()": "viewDidLoad",
    "UIDevice.current": "currentDevice",
}
# Objective-C's names of types that Swift renames.
TYPES = {
    "ProcessInfo": "NSProcessInfo",
    "ProcessInfo.ThermalState": "NSProcessInfoThermalState",
    "UIDevice.BatteryState": "UIDeviceBatteryState",
    "UIView.AutoresizingMask": "UIViewAutoresizing",
}
# What exists in Swift only, or in a module that no crate here describes. It follows Apple's documentation.
SWIFT_ONLY = {
    "CGRect.insetBy(dx:dy:)",
    "MLDictionaryFeatureProvider.featureValue(for:)",
    # Its value depends on the system.
    "NSTextAlignment.center",
    "UIApplicationDelegate.main()",
    "UIView.AutoresizingMask.init(rawValue:)",
    "UIView.AutoresizingMask.rawValue",
    "UIView.init()",
}
# CryptoKit has no other interface than that of Swift.
_CRYPTO = (
    "AES",
    "HMAC",
    "HashedAuthenticationCode",
    "P256",
    "P384",
    "P521",
    "SecureEnclave",
    "SharedSecret",
    "Symmetric",
)
_SWIFT_TYPES = ("MLComputeDevice", "MLComputePlan", "MLModelStructure", *_CRYPTO)

_TYPE = re.compile(
    r"^ *(?:@\w+ +)*(?:public|open) (?:final )?(?:class|struct|enum|protocol|extension) +(?!var\b|func\b)([\w.]+)"
)
_EXTENSION = re.compile(r"^extension ([\w.]+) \{")
_VARIABLE = re.compile(r"^ *(?:(?:public|open|class|static|required|override) )*(?:var|let) (\w+)")
_FUNCTION = re.compile(
    r"^ *(?:(?:public|open|class|static|required|override) )*(?:func (\w+)|(init)\??)\((.*)", re.DOTALL
)
_CASE = re.compile(r"^ *case (\w+) = (\d+)")
# A constant of a generated file, in one of two forms: a struct around a number, or bit flags.
_CONSTANT = re.compile(
    r'#\[doc\(alias = "(\w+)"\)\]\s+(?:#\[[^\n]*\]\s+)*(?:pub )?const \w+'
    r"(?:: Self = Self\(| = )([\da-fx |<]+)\)?;"
)
_OPTION = re.compile(r"^ *public static let (\w+) = \w+\(rawValue: (\d+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A member of a stub: ``value`` is the raw value of a case, None for a property or a method."""

    owner: str
    name: str
    value: int | None = None

    @property
    def path(self) -> str:
        """The member in Swift's words."""
        return f"{self.owner}.{self.name}"

    @property
    def type(self) -> str:
        """The name of the type in Objective-C."""
        return TYPES.get(self.owner, self.owner.split(".")[-1])


def declared(text: str) -> Iterator[Declared]:
    """The members of all types that a stub declares, but for those that exist in Swift only."""
    owners: list[tuple[int, str]] = []
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip())
        started = _TYPE.match(line) or _EXTENSION.match(line)
        if line.strip() and line.strip() != "}":
            owners = [owner for owner in owners if owner[0] < depth]
        if started:
            owners.append((depth, started[1]))
            continue
        path = ".".join(name for _, name in owners)
        if owners and not path.startswith(_SWIFT_TYPES):
            yield from (member for member in _members(path, line) if member.path not in SWIFT_ONLY)


def _members(path: str, line: str) -> Iterator[Declared]:
    if match := _CASE.match(line) or _OPTION.match(line):
        yield Declared(owner=path, name=match[1], value=int(match[2]))
    elif match := _VARIABLE.match(line):
        yield Declared(owner=path, name=match[1])
    elif match := _FUNCTION.match(line):
        parameters = re.sub(r"\[[^]]*\]", "", match[3].partition(" {")[0])
        labels = [label for label in re.findall(r"(\w+)(?: \w+)?: ", parameters) if label != "_"]
        yield Declared(owner=path, name=f"{match[1] or match[2]}({''.join(f'{label}:' for label in labels)})")


def selector_of(member: Declared) -> str:
    """The selector of a property or a method."""
    return SELECTORS.get(member.path, member.name)


def constant_of(member: Declared) -> str:
    """The name of a case in C, in lower case: Swift changes the case of its letters."""
    return f"{member.type}{member.name}".lower()


def all_declared() -> list[Declared]:
    """The members of all stubs."""
    return [member for stub in sorted(STUBS.glob("*.swift")) for member in declared(_joined(stub.read_text("utf-8")))]


def _joined(text: str) -> str:
    """The text with what stands in parentheses on one line."""
    joined, depth = [], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        joined.append(" " if character == "\n" and depth else character)
    return re.sub(r" {2,}(?=\S)(?<=\( {2})|(?<=\() +", "", "".join(joined))


def _look_up(vendor: Path) -> dict[str, object]:
    methods: dict[str, set[str]] = {}
    constants: dict[str, int] = {}
    for crate in CRATES:
        for file in sorted((vendor / crate / "src/generated").glob("*.rs")):
            text = file.read_text(encoding="utf-8")
            for owner, selector in _selectors(text):
                methods.setdefault(owner, set()).add(selector)
            for alias, value in _CONSTANT.findall(text):
                base, _, shift = value.partition("<<")
                constants[alias.lower()] = sum(int(part, 0) for part in base.split("|")) << int(shift or "0")
    members = all_declared()
    selectors = sorted({(m.type, selector_of(m)) for m in members if m.value is None})
    return {
        "crates": {crate: VERSION for crate in CRATES},
        "methods": sorted(f"{owner} {name}" for owner, name in selectors if name in methods.get(owner, set())),
        "constants": {
            name: constants[name]
            for name in sorted({constant_of(m) for m in members if m.value is not None})
            if name in constants
        },
    }


def _selectors(text: str) -> Iterator[tuple[str, str]]:
    """The types of a generated file with the selectors in their blocks."""
    owner = ""
    for line in text.splitlines():
        if match := re.match(r"impl(?:<[^>]*>)? (\w+)(?:<[^>]*>)? \{|\s*pub unsafe trait (\w+)", line.strip()):
            owner = match[1] or match[2]
        elif match := re.search(r"#\[unsafe\(method\(([\w:]+?)_?\)\)\]", line):
            yield owner, match[1]


def main() -> None:
    """Vendor the crates into a temporary folder and write the golden file."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        needs = "\n".join(f'{crate} = "={VERSION}"' for crate in CRATES)
        package = '[package]\nname = "names"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "lib.rs"\n'
        (root / "Cargo.toml").write_text(f"{package}[dependencies]\n{needs}\n", encoding="utf-8")
        (root / "lib.rs").touch()
        subprocess.run(["cargo", "vendor", "--quiet", "vendor"], cwd=root, check=True, stdout=subprocess.DEVNULL)
        text = json.dumps(_look_up(root / "vendor"), indent=2)
    GOLDEN.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
