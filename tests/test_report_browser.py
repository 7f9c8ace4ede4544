"""The HTML report in a real browser: sort, filter, open, turn; names are text, never markup."""

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from builders import write_artefact

from posebank.report import html_report
from posebank.report.drawing import CENTRE, LEFT, RIGHT, View, view_axes
from posebank.skeleton import N_JOINTS, JointState, centred
from posebank.types import Labels, People, PoseBank, texts

webdriver = pytest.importorskip("selenium.webdriver")
CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on the path"
)

NASTY = '"><img src=x onerror="window.broken=1"></script><b>'
F = np.float32


def made_labels(n: int) -> tuple[PoseBank, Labels]:
    """``n`` people of trusts 0.1, 0.2, ...; every second is of a data set with a nasty name."""
    rng = np.random.default_rng(3)
    joints = centred(rng.normal(0, 0.3, (n, N_JOINTS, 3))).astype(F)
    names = texts(f"clip{NASTY}:{i}" for i in range(n))
    bank = PoseBank.from_joints(joints, pose_id=names, dataset=NASTY, subject="s", clip=names)
    state = np.full((n, N_JOINTS), JointState.VISIBLE, np.uint8)
    state[::3, 0] = JointState.COMPLETED
    people = People.from_joints(
        20 * joints[..., :2] + 24,
        state,
        person_id=(f"p{i:02d}{NASTY}" for i in range(n)),
        dataset=(NASTY if i % 2 else "plain" for i in range(n)),
        split="train",
        image=(f"{i}.png" for i in range(n)),
        image_width=64,
        image_height=48,
    )
    labels = Labels.from_people(
        people,
        joints,
        camera_scale=20,
        camera_translation=24,
        error_norm=0.1,
        error_mm=np.linspace(90, 10, n),
        trust=0.1 * np.arange(1, n + 1),
        ambiguity_mm=5,
        pose_id=names,
        provenance=NASTY,
    )
    return bank, labels


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[object]:
    workspace = tmp_path_factory.mktemp("report") / "a workspace"
    bank, labels = made_labels(9)
    write_artefact(workspace / "bank", "bank", bank)
    write_artefact(workspace / "labels", "labels", labels)
    path = html_report(workspace, workspace / "report" / "index.html")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "window-size=1200,1400"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    browser.get(path.as_uri())
    yield browser
    browser.quit()


def cards(page) -> list[str]:
    return page.execute_script(
        "return [...document.querySelectorAll('#grid .card')].map((c) => c.dataset.person)"
    )


def choose(page, control: str, value: str) -> None:
    page.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}))",
        control,
        value,
    )


def test_names_from_data_are_text_never_markup(page):
    assert page.execute_script("return window.broken") is None
    assert page.execute_script("return document.querySelectorAll('img[src=\"x\"]').length") == 0
    assert NASTY in page.execute_script("return document.body.innerText")


def test_labels_are_sorted_and_filtered(page):
    assert [person[:3] for person in cards(page)] == [f"p{i:02d}" for i in range(8, -1, -1)]
    choose(page, "sort", "matching error, largest first")
    assert cards(page)[0].startswith("p00")
    choose(page, "trust-low", "0.65")
    assert [person[:3] for person in cards(page)] == ["p06", "p07", "p08"]
    choose(page, "dataset", "plain")
    assert [person[:3] for person in cards(page)] == ["p06", "p08"]
    page.find_element("id", "clear").click()
    choose(page, "completed-low", "1")
    assert sorted(person[:3] for person in cards(page)) == ["p00", "p03", "p06"]
    page.find_element("id", "clear").click()
    assert len(cards(page)) == 9


def pixels(page, canvas: str) -> str:
    return page.execute_script("return document.getElementById(arguments[0]).toDataURL()", canvas)


def test_script_has_the_views_and_colours_of_the_drawing_module(page):
    rows = page.execute_script("return axesOf({azimuth: 0.7, elevation: -0.3})")
    np.testing.assert_allclose(rows, view_axes(View(0.7, -0.3)), atol=1e-12)
    colours = page.execute_script("return ['--right', '--left', '--centre'].map(colour)")
    assert colours == [RIGHT, LEFT, CENTRE]


def test_a_label_opens_turns_and_the_keyboard_goes_on(page):
    page.find_element("css selector", "#grid .card").click()
    assert page.find_element("id", "dialog").is_displayed()
    facts = page.find_element("id", "facts").text
    assert "trust" in facts.lower()
    assert "10 mm on 13 joints" in facts
    assert "frame 8" in facts
    before = pixels(page, "pose")
    pose = page.find_element("id", "pose")
    webdriver.ActionChains(page).drag_and_drop_by_offset(pose, 80, 20).perform()
    assert pixels(page, "pose") != before
    page.find_element("xpath", "//div[@id='shown']/button[2]").click()
    shown = page.find_element("css selector", "#shown [aria-pressed=true]").text
    assert shown == "Matched MoCap frame"
    webdriver.ActionChains(page).send_keys("\ue014").perform()  # arrow to the right
    assert "p07" in page.find_element("id", "facts").text
    webdriver.ActionChains(page).send_keys("\ue00c").perform()  # escape
    assert not page.find_element("id", "dialog").is_displayed()


def test_dark_and_narrow(page):
    page.find_element("id", "theme").click()
    background = "return getComputedStyle(document.body).backgroundColor"
    dark = page.execute_script(background)
    page.find_element("id", "theme").click()
    assert page.execute_script(background) != dark
    page.set_window_size(400, 900)
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.execute_script(overflow) <= 0
    page.set_window_size(1200, 1400)


def test_no_error_in_the_console(page):
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
