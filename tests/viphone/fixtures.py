"""A daemon with a virtual iPhone, and IPAs to install. A conftest imports what its tests use."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import MISSING
from tests.viphone.ipamaker import IpaMaker, IpaPlan
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.state import IPhoneState, own_udid
from tests.viphone.trust import DeviceKey, missing_for_trust
from tests.viphone.usbmuxd import Usbmuxd

# Makes one more phone, with that state.
MakePhone = Callable[[IPhoneState], VirtualIPhone]


@pytest.fixture(scope="session")
def device_key(tmp_path_factory: pytest.TempPathFactory) -> DeviceKey:
    """The key of every virtual iPhone of a session; making one takes a moment."""
    if lacking := missing_for_trust():
        pytest.skip(f"{MISSING}{lacking}; apt-get install {lacking}")
    return DeviceKey.make(tmp_path_factory.mktemp("device-key"))


@pytest.fixture
def usbmuxd() -> Generator[Usbmuxd]:
    """A daemon without phones; ``usbmuxd.address`` is the value for ``USBMUXD_SOCKET_ADDRESS``."""
    with Usbmuxd() as daemon:
        yield daemon


@pytest.fixture
def make_iphone(usbmuxd: Usbmuxd, device_key: DeviceKey, tmp_path: Path) -> Generator[MakePhone]:
    """Plugs in one more phone with each call."""
    with ExitStack() as stack:

        def make(state: IPhoneState) -> VirtualIPhone:
            return stack.enter_context(VirtualIPhone(tmp_path / state.udid, usbmuxd, device_key, state))

        yield make


@pytest.fixture
def iphone(make_iphone: MakePhone) -> VirtualIPhone:
    """A phone with iOS 17.4 that is plugged in, unlocked, and trusts whoever asks."""
    return make_iphone(IPhoneState())


@pytest.fixture
def iphone_16(make_iphone: MakePhone) -> VirtualIPhone:
    """The same with iOS 16, where process control goes over lockdownd."""
    return make_iphone(IPhoneState(ios="16.7", udid=own_udid(16, "00008030"), product_type="iPhone12,1"))


@pytest.fixture(scope="session")
def ipas(tmp_path_factory: pytest.TempPathFactory) -> IpaMaker:
    """Makes IPAs; each call makes a new file."""
    if shutil.which("openssl") is None:
        pytest.skip(f"{MISSING}openssl; apt-get install openssl")
    return IpaMaker(tmp_path_factory.mktemp("ipas"))


@pytest.fixture
def ipa(ipas: IpaMaker, iphone: VirtualIPhone) -> Path:
    """The runner, signed for the phone."""
    return ipas.make(IpaPlan(devices=(iphone.state.udid,)))
