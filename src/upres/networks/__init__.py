"""The networks of the literature: one file a paper, one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from upres.networks.base import Network
from upres.networks.bicubicpp import BicubicPlusPlus
from upres.networks.bsrn import BSRN, bsrn_ntire2022
from upres.networks.carn import CARN, carn_classsr, carn_m
from upres.networks.classsr import ClassSR, classsr_carn, classsr_fsrcnn
from upres.networks.ecbsr import ECBSR
from upres.networks.efdn import EFDN
from upres.networks.espcn import ESPCN
from upres.networks.falsr import FALSR, falsr_a, falsr_b, falsr_c
from upres.networks.fimdn import FIMDN
from upres.networks.fsrcnn import FSRCNN, FSRCNNBranch, fsrcnn_small
from upres.networks.imdn import IMDN, imdn_baseline, imdn_rtc
from upres.networks.innopeak import InnoPeak
from upres.networks.johnson import Johnson, JohnsonStyleTransfer
from upres.networks.latticenet import LatticeNet
from upres.networks.maffsrn import MAFFSRN, maffsrn_l
from upres.networks.msrresnet import MSRResNet
from upres.networks.notfound404 import NotFound404
from upres.networks.pan import PAN
from upres.networks.rfdn import RFDN
from upres.networks.rlfn import RLFN, rlfn_ntire2022, rlfn_s
from upres.networks.samsung_tor_aic import SamsungTORAIC
from upres.networks.span import SPAN, span_ntire2024, span_s
from upres.networks.srcnn import SRCNN, srcnn_955
from upres.networks.srresnet import SRResNet
from upres.networks.uestc_medialab import UESTCMediaLab
from upres.networks.vdsr import VDSR
from upres.networks.zhang9678 import Zhang9678
from upres.networks.zjuesr import ZJUESR

__all__ = ["NETWORKS", "Network", "NetworkSpec", "load"]

NETWORKS: dict[str, Callable[..., Network]] = {
    "bicubicpp": BicubicPlusPlus,
    "bsrn": BSRN,
    "bsrn_ntire2022": bsrn_ntire2022,
    "carn": CARN,
    "carn_classsr": carn_classsr,
    "carn_m": carn_m,
    "classsr": ClassSR,
    "classsr_carn": classsr_carn,
    "classsr_fsrcnn": classsr_fsrcnn,
    "ecbsr": ECBSR,
    "efdn": EFDN,
    "espcn": ESPCN,
    "falsr": FALSR,
    "falsr_a": falsr_a,
    "falsr_b": falsr_b,
    "falsr_c": falsr_c,
    "fimdn": FIMDN,
    "fsrcnn": FSRCNN,
    "fsrcnn_classsr": FSRCNNBranch,
    "fsrcnn_small": fsrcnn_small,
    "imdn": IMDN,
    "imdn_baseline": imdn_baseline,
    "imdn_rtc": imdn_rtc,
    "innopeak": InnoPeak,
    "johnson": Johnson,
    "johnson_style": JohnsonStyleTransfer,
    "latticenet": LatticeNet,
    "maffsrn": MAFFSRN,
    "maffsrn_l": maffsrn_l,
    "msrresnet": MSRResNet,
    "notfound404": NotFound404,
    "pan": PAN,
    "rfdn": RFDN,
    "rlfn": RLFN,
    "rlfn_ntire2022": rlfn_ntire2022,
    "rlfn_s": rlfn_s,
    "samsung_tor_aic": SamsungTORAIC,
    "span": SPAN,
    "span_ntire2024": span_ntire2024,
    "span_s": span_s,
    "srcnn": SRCNN,
    "srcnn_955": srcnn_955,
    "srresnet": SRResNet,
    "uestc_medialab": UESTCMediaLab,
    "vdsr": VDSR,
    "zhang9678": Zhang9678,
    "zjuesr": ZJUESR,
}
"""Every network's class, or the short function that fills in the arguments of a named variant."""


@dataclass(frozen=True)
class NetworkSpec:
    """What rebuilds a network: its name in `NETWORKS` and its constructor's arguments."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def build(self) -> Network:
        """A new network with fresh weights.

        Raises:
            ValueError: if the name or an argument is unknown; the text lists those known.
        """
        if self.name not in NETWORKS:
            raise ValueError(f"no network is called {self.name!r}; known: {', '.join(sorted(NETWORKS))}")
        try:
            return NETWORKS[self.name](**self.arguments)
        except TypeError as error:
            raise ValueError(f"network {self.name}: {error}") from None


from upres.networks.load import load  # noqa: E402  # which needs what stands above
