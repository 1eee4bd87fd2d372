"""Pictures through ClassSR, sub-image by sub-image."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.networks.test_classsr import small
from upres.evaluation.sub_images import upscale_sub_images
from upres.networks.base import upscale_rgb8

JUDGED = 3_833_952 / 32**2  # the authors' count of the class module
BRANCHES = [
    # Of d channels, 12 shrunk: 5x5 from RGB, 1x1, four 3x3, 1x1, four PReLUs; then 9x9 to RGB, for 4x4 SR pixels.
    5 * 5 * 3 * d + d * 12 + 4 * 9 * 12 * 12 + 12 * d + (d + 12 + 12 + d) + 9 * 9 * d * 3 * 16
    for d in (4, 8, 12)
]


def test_work_is_that_of_the_branches_that_were_chosen_and_of_choosing() -> None:
    lr = np.full((32, 88, 3), 230, np.uint8)  # three sub-images: 0 to 32, 28 to 60 and 56 to 88
    lr[:, :30] = 25
    _, work = upscale_sub_images(small().eval(), lr)
    assert work == pytest.approx(np.mean([BRANCHES[2], BRANCHES[0], BRANCHES[0]]) + JUDGED)


def test_a_picture_of_one_sub_image_is_what_its_branch_makes(photograph: NDArray[np.uint8]) -> None:
    network = small().eval()
    for brightness, branch in ((0.1, 2), (0.5, 1), (0.9, 0)):
        for height, width in ((32, 32), (17, 23), (4, 9)):
            lr = (photograph[:height, :width] * 0.05 + 255 * brightness).astype(np.uint8)
            sr, work = upscale_sub_images(network, lr)
            assert np.array_equal(sr, upscale_rgb8(network.branches[branch], lr))
            assert work == BRANCHES[branch] + JUDGED


def test_a_picture_smaller_than_the_class_module_sees_has_its_size() -> None:
    sr, _ = upscale_sub_images(small().eval(), np.full((2, 3, 3), 230, np.uint8))
    assert sr.shape == (8, 12, 3)


def test_sub_images_are_blended_to_nearly_what_the_branch_makes_of_the_whole(photograph: NDArray[np.uint8]) -> None:
    network = small().eval()
    lr = (photograph[:70, :100] * 0.1 + 220).astype(np.uint8)
    sr, _ = upscale_sub_images(network, lr)
    whole = upscale_rgb8(network.branches[0], lr).astype(int)
    assert sr.shape == (280, 400, 3)
    assert np.array_equal(sr[4 * 12 : 4 * 20, 4 * 12 : 4 * 20], whole[4 * 12 : 4 * 20, 4 * 12 : 4 * 20])
    assert np.abs(sr - whole).mean() < 0.05 * whole.std() + 1
