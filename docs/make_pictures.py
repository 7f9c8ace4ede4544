"""Write docs/pictures: the tutorial's pictures, of generated people.

Runs the tutorial's commands in a temporary folder and photographs its report in headless Chromium;
needs ``chromium`` and ``chromedriver`` on the path. Run it by hand when the pictures change::

    python docs/make_pictures.py
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.actions.action_builder import ActionBuilder

import posebank as pb
from posebank.demo.sample import SampleData
from posebank.report.images import new_figure, save_figure
from posebank.report.sheets import show_person

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS / "pictures"
_QUALITY = 88  # of the JPEGs: below 100 KB each


def commands() -> list[str]:
    """Return the shell commands of the tutorial."""
    text = (DOCS / "tutorial.md").read_text("utf-8")
    found = re.findall(r"```bash\n(.*?)```", text, re.S)
    return [line for block in found for line in block.splitlines()]


def keep(picture: bytes | Path, name: str) -> None:
    """Write a picture as a JPEG with colours as sharp as its lines."""
    source = picture if isinstance(picture, Path) else io.BytesIO(picture)
    image = Image.open(source).convert("RGB")
    image.save(PICTURES / name, quality=_QUALITY, subsampling="4:4:4", optimize=True)


def draw(data: SampleData, labels: pb.Labels, folder: Path) -> None:
    """Draw the photographs with their keypoints, and the label that is trusted most."""
    figure = new_figure(10, 2)
    for row, ax in enumerate(figure.subplots(1, len(data.people))):
        people = data.people
        show_person(ax, data.image(row), people.joints_2d[row], people.state[row])
    keep(save_figure(figure, folder / "keypoints.png"), "keypoints.jpg")
    best = int(labels.trust.argmax())
    image = data.folder / "images" / labels.image[best]
    keep(save_figure(pb.plot_label(labels, best, image), folder / "label.png"), "label.jpg")


def photograph(report: Path) -> None:
    """Photograph the report's labels, and one label with its pose turned."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("headless=new", "no-sandbox", "window-size=1180,760", "hide-scrollbars"):
        options.add_argument(f"--{flag}")
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    browser = webdriver.Chrome(options, service)
    try:
        browser.get(report.as_uri())
        browser.execute_script("document.getElementById('labels').scrollIntoView()")
        _wait(browser)
        keep(browser.get_screenshot_as_png(), "report.jpg")
        browser.find_element("css selector", "#grid .card").click()
        mouse = ActionBuilder(browser)
        pose = browser.find_element("id", "pose")
        mouse.pointer_action.move_to(pose).pointer_down().move_by(-60, 25).pointer_up()
        mouse.perform()
        _wait(browser)
        keep(browser.get_screenshot_as_png(), "report-label.jpg")
    finally:
        browser.quit()


def _wait(browser: webdriver.Chrome) -> None:
    """Let the page decode its images and draw them."""
    browser.execute_async_script("setTimeout(arguments[0], 1500)")


def main() -> None:
    """Do the tutorial in a temporary folder, and write its pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = pb.sample_data(folder / "sample", n_images=6)
        for command in commands():
            program = Path(sys.executable).with_name("posebank")
            subprocess.run([program, *command.split()[1:]], cwd=folder, check=True)
        draw(data, pb.load_labels(folder / "ws"), folder)
        photograph(folder / "ws" / "report" / "index.html")


if __name__ == "__main__":
    main()
